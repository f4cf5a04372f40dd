"""The trainer node of sequence models: how long, on which cuts, in how many folds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from batgen.errors import ConfigError
from batgen.training.curriculum import Curriculum
from batgen.training.device import accelerator_on
from batgen.training.schedules import lr_factor


@dataclass(frozen=True)
class SequenceTraining:
    """How a forecaster is trained.

    epochs: passes, in each of which every training cell is cut `windows` times, at cycles drawn from first_cut (null: a
    fifth of last_cut) to last_cut (null: the cycles that the run observes). batch_size: windows a step, null for all.
    folds: 1 trains one model and stops it on the validation cells; k > 1 trains k models, each stopped on another k-th of
    training and validation cells, and forecasts with the mean of their quantiles (in a chronological split always 1).
    val_cuts: where validation cells are cut (null: last_cut); val_every epochs. Stopping: patience (validations without
    improvement, null: never), gl_pq (eq. 11, null: never) when the validation error also rose `trend` times in a row, all
    counted by validations; the best weights are kept in any case.
    lr_schedule: constant | cosine | one_cycle | linear_warmup, by epoch. curriculum: segments, decay, start, end of the
    teacher forcing (eqs. 7, 8), and of the forecast length, which grows with the segments. save_every_s: at most so many
    seconds of work are lost when a run is killed.
    """

    ACCEPTS = ("sequences",)

    epochs: int = 400
    windows: int = 3
    batch_size: int | None = None
    first_cut: int | None = None
    last_cut: int | None = None
    folds: int = 5
    val_cuts: list[int] | None = None
    val_every: int = 10
    patience: int | None = None
    gl_pq: float | None = None
    trend: int = 3
    lr_schedule: str = "one_cycle"
    gradient_clip: float | None = 1.0
    curriculum: Mapping[str, Any] | None = None
    accelerator: str = "cpu"
    save_every_s: float = 20.0

    def __post_init__(self) -> None:
        for key in ("epochs", "windows", "folds", "val_every", "trend"):
            if getattr(self, key) < 1:
                raise ConfigError(f"trainer.{key}: {getattr(self, key)} must be 1 or more.")
        for key in ("batch_size", "first_cut", "last_cut", "patience"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"trainer.{key}: {value} must be 1 or more, or null.")
        if self.last_cut is not None and self.first_cut is not None and self.last_cut < self.first_cut:
            raise ConfigError(f"trainer.last_cut={self.last_cut} is below trainer.first_cut={self.first_cut}.")
        unknown = set(self.curriculum or {}) - {"segments", "decay", "start", "end"}
        if unknown:
            raise ConfigError(f"trainer.curriculum.{min(unknown)}: unknown key. It has segments, decay, start and end.")
        self.plan  # noqa: B018  (refuses what cannot be a plan)
        lr_factor(self.lr_schedule, self.epochs)
        if self.accelerator not in ("cpu", "gpu", "auto"):
            raise ConfigError(f"trainer.accelerator: {self.accelerator!r} is none of cpu, gpu, auto.")

    @property
    def validated_every(self) -> int:
        """val_every, or the nearest smaller number with which the last epoch is validated too: there the rate is lowest."""
        every = min(self.val_every, self.epochs)
        return next((n for n in range(every, every // 4, -1) if self.epochs % n == 0), every)

    @property
    def plan(self) -> Curriculum:
        return Curriculum(self.epochs, **(self.curriculum or {}))

    def on(self, device: str | None) -> "SequenceTraining":
        """These settings on the root knob `device`. Raises ConfigError when trainer and device contradict each other."""
        return replace(self, accelerator=accelerator_on(self.accelerator, device))

    def cuts(self, observed: int) -> tuple[int, int]:
        """The first and last cycle at which training cells are cut, for a run that observes `observed` cycles."""
        last = self.last_cut or observed
        return min(self.first_cut or max(2, last // 5), last), last
