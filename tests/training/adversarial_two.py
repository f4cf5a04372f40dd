"""python tests/training/adversarial_two.py FOLDER: trainings by two processes, whose weights are saved for the test that asks."""

import sys
from pathlib import Path

import torch

from tests.training.adversarial_job import Level, cgan, fit, one_critic_step, sgd

TWO = {"devices": 2, "steps": 6, "validate_every": 3, "log_every": 3, "batch_size": 8}


def main(folder: Path) -> None:
    models = {
        "wgan": fit(folder / "wgan", choose="retrain", job_options={"physics": [Level(1e-3)]}, **TWO),
        "cgan": fit(folder / "cgan", choose="disjoint", gradient_clip=0.1, job_options={"model": cgan}, **TWO),
        "step": fit(
            folder / "step",
            choose="last",
            job_options={"model": one_critic_step, "optimiser": sgd, "lr": 1.0},
            **(TWO | {"steps": 1}),
        ),
    }
    rank = torch.distributed.get_rank()
    torch.save(
        {name: (model.state_dict(), facts) for name, (model, facts) in models.items()}, folder / f"rank{rank}.pt"
    )
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
