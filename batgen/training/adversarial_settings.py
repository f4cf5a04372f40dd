"""The trainer node of profile models: how many steps, how the step is chosen, on which machine."""

from dataclasses import dataclass, replace

from batgen.errors import ConfigError
from batgen.training.device import accelerator_on

CHOOSE = ("retrain", "disjoint", "last")
MONITORS = ("val/energy_score", "val/energy_distance")


@dataclass(frozen=True)
class AdversarialTraining:
    """How a GAN of profiles is trained.

    steps: generator steps, each after `critic_steps` of the model; batch_size: profiles a step. balance: rows are drawn
    with a probability that makes cells of unlike length alike: 0 every row equally often, 1 every cell.
    choose: how the step to keep is chosen, every `validate_every` steps, by `monitor` on cells that were not trained on:
        disjoint  the best step is kept; the validation cells are never trained on;
        retrain   as disjoint to find the number of steps, then a fresh model on training and validation cells for that
                  many: with a handful of cells each one counts;
        last      no validation: all steps, on all cells.
    choose_from: the first step that may be chosen. Before, an unfinished generator may be the nearer to a validation cell that is
    unlike the training cells, by the very blur that it has not yet lost. val_draws: profiles drawn a validation row.
    gradient_clip: largest norm of a gradient, null for none. precision and strategy as Lightning has them; several devices take
    `batch_size` profiles each. save_every_s: at most so many seconds of work are lost when a run is killed.
    """

    ACCEPTS = ("profiles",)

    steps: int = 300
    batch_size: int = 64
    balance: float = 0.5
    choose: str = "retrain"
    monitor: str = "val/energy_score"
    choose_from: int = 150
    validate_every: int = 25
    val_draws: int = 16
    log_every: int = 10
    gradient_clip: float | None = None
    accelerator: str = "cpu"
    devices: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    save_every_s: float = 20.0

    def __post_init__(self) -> None:
        for key in ("steps", "batch_size", "validate_every", "log_every", "devices"):
            if getattr(self, key) < 1:
                raise ConfigError(f"trainer.{key}: {getattr(self, key)} must be 1 or more.")
        if self.choose_from < 1:
            raise ConfigError(f"trainer.choose_from: {self.choose_from} must be 1 or more.")
        if self.val_draws < 2:
            raise ConfigError(f"trainer.val_draws: {self.val_draws} must be 2 or more: one draw has no spread.")
        if not 0 <= self.balance <= 1:
            raise ConfigError(f"trainer.balance: {self.balance} must be from 0 (rows) to 1 (cells).")
        if self.choose not in CHOOSE:
            raise ConfigError(f"trainer.choose: {self.choose!r} is none of {', '.join(CHOOSE)}.")
        if self.monitor not in MONITORS:
            raise ConfigError(f"trainer.monitor: {self.monitor!r} is none of {', '.join(MONITORS)}.")
        if self.gradient_clip is not None and self.gradient_clip <= 0:
            raise ConfigError(f"trainer.gradient_clip: {self.gradient_clip} must be above 0, or null for none.")
        if self.accelerator not in ("cpu", "gpu", "auto"):
            raise ConfigError(f"trainer.accelerator: {self.accelerator!r} is none of cpu, gpu, auto.")

    @property
    def epoch_steps(self) -> int:
        """Steps between two validations, which is what Lightning calls an epoch here."""
        return min(self.validate_every, self.steps)

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.epoch_steps)

    @property
    def first_choice(self) -> int:
        """The epoch from which on one may be chosen; the last one at the latest."""
        return min(-(-self.choose_from // self.epoch_steps), self.epochs) - 1

    def on(self, device: str | None) -> "AdversarialTraining":
        """These settings on the root knob `device`. Raises ConfigError when trainer and device contradict each other."""
        return replace(self, accelerator=accelerator_on(self.accelerator, device))
