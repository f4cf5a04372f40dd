"""The trainer node of the config: where and how long to train. No Lightning here, so that reading it is quick."""

from dataclasses import dataclass, replace

from batgen.errors import ConfigError

EARLY_STOPPING = ("disjoint", "retrain", "literal")
#: What is wrong with the last of them.
LEAK = "early stopping watched rows that were trained on (Algorithm 2, literally)"


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    early_stopping says which rows decide when to stop:
        disjoint  validation rows that training never sees (honest; by cell where the split is by cell);
        retrain   as disjoint to find the best epoch, then a fresh model on train + validation for that many epochs;
        literal   train + validation are merged before training and the "validation" rows still decide (Jiang et al.,
                  Algorithm 2, steps 2-8). They are training rows: a leak, kept for parity.
    monitor: val/loss, val/mae (eq. 18, of the reconstruction) or val/crps (of draws from the prior). patience and
    max_epochs in epochs; validation runs every `val_every` epochs. resident: keep all data on the device as whole tensors
    (null decides by size). devices: of each of `num_nodes` machines. save_every_s: at most so many seconds of work are lost
    when a run is killed.
    """

    ACCEPTS = ("curves",)

    max_epochs: int = 1000
    batch_size: int = 128
    patience: int = 100
    early_stopping: str = "disjoint"
    monitor: str = "val/crps"
    val_every: int = 1
    val_draws: int = 8
    accelerator: str = "cpu"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    gradient_clip: float | None = None
    compile: bool = False
    resident: bool | None = None
    save_every_s: float = 20.0

    def __post_init__(self) -> None:
        if self.early_stopping not in EARLY_STOPPING:
            raise ConfigError(
                f"trainer.early_stopping: {self.early_stopping!r} is none of {', '.join(EARLY_STOPPING)}."
            )
        if self.monitor not in ("val/loss", "val/mae", "val/crps"):
            raise ConfigError(f"trainer.monitor: {self.monitor!r} is none of val/loss, val/mae, val/crps.")
        for key in ("max_epochs", "batch_size", "patience", "val_every", "val_draws", "devices", "num_nodes"):
            if getattr(self, key) < 1:
                raise ConfigError(f"trainer.{key}: {getattr(self, key)} must be 1 or more.")

    def on(self, device: str | None) -> "Training":
        """These settings on the root knob `device`. Raises ConfigError when trainer and device contradict each other."""
        wanted = {None: self.accelerator, "cpu": "cpu", "cuda": "gpu"}[device]
        if self.accelerator not in (wanted, "auto"):
            raise ConfigError(
                f"device={device} contradicts the trainer (accelerator={self.accelerator}). "
                f"Use trainer={'gpu' if wanted == 'gpu' else 'cpu'}, or leave device out."
            )
        if wanted == "gpu":
            import torch

            if not torch.cuda.is_available():
                raise ConfigError("trainer: accelerator=gpu, but this machine shows no GPU. Use trainer=cpu.")
        return replace(self, accelerator=wanted)
