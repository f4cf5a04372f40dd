"""The trainer node of curve models that are trained many at once. No Lightning here, so that reading it is quick."""

from dataclasses import dataclass

import torch

from batgen.errors import ConfigError
from batgen.training.settings import Training


@dataclass(frozen=True)
class StackedTraining(Training):
    """`Training`, of many models in one process: seeds of a run, or jobs of a sweep, whose architectures are the same.

    Each becomes, up to rounding, what training it alone with the same keys makes of it. at_once: models in one step, at
    most; more of them need more memory. On a CPU, which is busy with one of them, a few are enough whatever is allowed.
    One process on one device, in single precision. Raises ConfigError for keys that ask for something else.
    """

    ACCEPTS = ("curves",)
    #: All parts that are to be trained are handed over together.
    TOGETHER = True

    accelerator: str = "auto"
    at_once: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_once < 1:
            raise ConfigError(f"trainer.at_once: {self.at_once} must be 1 or more.")
        wanted = {"devices": 1, "num_nodes": 1, "strategy": "auto", "precision": "32-true", "compile": False}
        for key, value in wanted.items():
            if (given := getattr(self, key)) != value:
                raise ConfigError(
                    f"trainer.{key}={given}: trainer=ensemble trains on one device in single precision and compiles "
                    f"nothing ({key}={value}). Leave it out, or train one after another: trainer=cpu, gpu or ddp."
                )

    @property
    def device(self) -> torch.device:
        return (
            torch.device("cpu")
            if self.accelerator == "cpu" or not torch.cuda.is_available()
            else torch.device("cuda", 0)
        )
