"""Which process this is, when a trainer runs several, and how many cores it may use. No torch here."""

import os

from batgen.errors import ConfigError

#: What numbers the processes of one training: torchrun, SLURM's srun, Lightning's own launcher on each machine.
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")


def main_process() -> bool:
    """False in the processes that train beside the first, on this machine or on others: they write nothing."""
    return all(int(os.environ.get(name, "0")) == 0 for name in _RANKS)


def check_devices(devices: int, nodes: int = 1) -> None:
    """Refuse several devices or machines for a job of a multirun, unless SLURM or torchrun started a process for each.

    Lightning would start them by repeating the command, which is the whole multirun, or wait for machines that nobody
    starts. devices: of each of `nodes` machines. Raises ConfigError.
    """
    if devices * nodes > 1 and not os.environ.keys() & {"SLURM_NTASKS", "LOCAL_RANK"}:
        asked = f"trainer.devices={devices}" + (f" trainer.num_nodes={nodes}" if nodes > 1 else "")
        one = "trainer.devices=1 " + ("trainer.num_nodes=1 " if nodes > 1 else "") + "trainer.strategy=auto"
        slurm = (f"hydra.launcher.nodes={nodes} " if nodes > 1 else "") + f"hydra.launcher.tasks_per_node={devices}"
        raise ConfigError(
            f"{asked}: jobs of a multirun take one device each. Use {one}; on a SLURM cluster, {slurm} starts the "
            "processes of a job."
        )


def gpu_of(number: int, side_by_side: int) -> str:
    """The GPU of a job of a multirun, for CUDA_VISIBLE_DEVICES: 0 1 2 3 0 1 ..., or those that the variable names already.

    Where it names fewer than `side_by_side`, jobs share them. Raises ConfigError for no or "all" jobs side by side.
    """
    if side_by_side < 1:
        raise ConfigError(f"hydra.launcher.n_jobs={side_by_side}: give the number of GPUs, 1 or more.")
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    place = number % side_by_side
    own = given.split(",") if given is not None else None
    return str(place) if own is None else own[place % len(own)].strip()


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cores() -> None:
    """Give torch every core, unless OMP_NUM_THREADS says how many it gets."""
    import torch  # seconds, which the command line's help need not wait for

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cores())
