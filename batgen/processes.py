"""Which process this is, when a trainer runs several, and how many cores it may use. No torch here."""

import os


#: What numbers the processes of one training: torchrun, SLURM's srun, Lightning's own launcher on each machine.
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")


def main_process() -> bool:
    """False in the processes that train beside the first, on this machine or on others: they write nothing."""
    return all(int(os.environ.get(name, "0")) == 0 for name in _RANKS)


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
