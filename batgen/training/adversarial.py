"""The Lightning side of GANs: critic and generator in turns, physics losses, health of the training, resume."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from batgen.errors import ConfigError
from batgen.models.base import DataShape, ProfileBatch
from batgen.models.layers.physical import physical_view
from batgen.training.adversarial_settings import AdversarialTraining
from batgen.training.datamodule import epoch_seed
from batgen.training.health import validation_health
from batgen.training.module import OptimiserOf

#: A critic whose loss is this many times as large as it was at the start, and as one nat, has exploded.
_EXPLODED = 1e4


@dataclass(frozen=True)
class AdversarialRows:
    """What one model learns from, and what its steps are chosen on: val may be empty."""

    train: ProfileBatch
    val: ProfileBatch


class AdversarialModule(pl.LightningModule):
    """Trains a model with `critic_loss`, `generator_loss` and perhaps `average`, by manual optimisation.

    One Lightning step holds `log_every` generator steps: Lightning's bookkeeping is paid once a block. Gradients are
    clipped in a hook of the optimiser, which runs when float16 scaling is already undone and processes agree. All randomness
    of an epoch is seeded by (seed, epoch), so that a resumed run repeats the unbroken one.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: AdversarialRows,
        shape: DataShape,
        physics: Sequence[Any],
        optimisers_of: tuple[OptimiserOf, OptimiserOf],
        settings: AdversarialTraining,
        seed: int,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.model, self.physics = model, nn.ModuleList(p for p in physics if p.weight > 0)
        self.rows, self.shape, self.settings, self.seed = rows, shape, settings, seed
        self.optimisers_of = optimisers_of
        self.start_loss: float | None = None
        self.norms: dict[str, Tensor] = {}
        self.trained: dict[str, list[nn.Parameter]] = {}
        self.average: Callable[[], None] = getattr(model, "average", lambda: None)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        sides = (("generator", self.model.generator), ("critic", self.model.critic))
        made = []
        for (name, network), optimiser_of in zip(sides, self.optimisers_of, strict=True):
            parameters = [p for p in network.parameters() if p.requires_grad]  # type: ignore[union-attr]
            optimiser = optimiser_of(parameters)
            if self.trainer.precision == "16-mixed" and getattr(optimiser, "_step_supports_amp_scaling", False):
                raise ConfigError(
                    f"model.optim.{name}: a fused optimiser undoes the scaling of trainer.precision=16-mixed after "
                    "gradients are clipped. Use batgen.training.optim.adam, or trainer.precision=bf16-mixed."
                )
            optimiser.register_step_pre_hook(self._clipper(name, parameters))
            self.trained[name] = parameters
            made.append(optimiser)
        return made

    def _clipper(self, name: str, parameters: list[nn.Parameter]) -> Callable[..., None]:
        limit = self.settings.gradient_clip

        def clip(*_: Any) -> None:
            if limit is None:
                self.norms[name] = nn.utils.get_total_norm(p.grad for p in parameters if p.grad is not None)
            else:
                self.norms[name] = nn.utils.clip_grad_norm_(parameters, limit)

        return clip

    def on_fit_start(self) -> None:
        self.rows = AdversarialRows(*(ProfileBatch(*(t.to(self.device) for t in b)) for b in _both(self.rows)))
        weights = cell_weights(self.rows.train.cell, self.settings.balance)
        self.weights = weights.to(self.device)

    def on_train_epoch_start(self) -> None:
        self.seeded = epoch_seed(self.seed, self.current_epoch)

    def training_step(self, block: int, _: int) -> None:
        # here and not at the start of the epoch: data loaders draw from the global generator when they are opened
        _seed(self.seeded + 7919 * block + self.global_rank, self.device)
        done = self.current_epoch * self.settings.epoch_steps + block * self.settings.log_every
        left = (self.current_epoch + 1) * self.settings.epoch_steps - done
        count = min(self.settings.log_every, left, self.settings.steps - done)
        if count < 1:
            return
        batches = self._batches(count * (self._critic_steps + 1))
        kept: dict[str, list[Tensor]] = {}
        optimisers: Any = self.optimizers()
        optimise_generator, optimise_critic = optimisers
        for _step in range(count):
            for _critic in range(self._critic_steps):
                judged = self.model.critic_loss(next(batches))  # type: ignore[operator]
                if self.start_loss is None:
                    self.start_loss = max(1.0, abs(self._means({"loss": [judged["loss"].detach()]})["loss"]))
                self._step(optimise_critic, judged["loss"])
            # no graph of the critic's weights: nobody asks for their slopes here, and they are half of the work
            self._freeze_critic(True)
            made = self._generator_loss(next(batches))
            self._step(optimise_generator, made["generator_loss"])
            self._freeze_critic(False)
            self.average()
            values = {**made, "critic_loss": judged["loss"], "discriminator_accuracy": judged["accuracy"]}
            values |= {"gradient_penalty": judged["penalty"]} if "penalty" in judged else {}
            # float16 scaling leaves steps out, and with them a norm
            values |= {f"{name}_grad_norm": norm for name, norm in self.norms.items()}
            for name, value in values.items():
                kept.setdefault(name, []).append(value.detach())
        means = self._means(kept)
        self.latest = {"step": float(done + count), **means}
        self._check(means, done + count)
        self._send({f"train/{name}": value for name, value in means.items()})
        if count == left or done + count == self.settings.steps:  # for the line of progress
            self.log("train/critic_loss", means["critic_loss"], logger=False, batch_size=count)

    def _send(self, values: dict[str, float]) -> None:
        """To the loggers, by generator steps: Lightning's own way costs a fifth of a small step, and counts the critic's too."""
        for logger in self.trainer.loggers:
            logger.log_metrics(values, int(self.latest["step"]))

    def _means(self, kept: dict[str, list[Tensor]]) -> dict[str, float]:
        """Over the steps of a block and over processes: when one of these must stop, all do."""
        values = torch.stack([torch.stack(v).float().mean() for v in kept.values()])
        values = self.trainer.strategy.reduce(values, reduce_op="mean")
        return dict(zip(kept, values.tolist(), strict=True))

    def _freeze_critic(self, frozen: bool) -> None:
        for parameter in self.trained["critic"]:
            parameter.requires_grad_(not frozen)

    @property
    def _critic_steps(self) -> int:
        return int(self.model.critic_steps)  # type: ignore[arg-type]

    def _batches(self, count: int) -> Iterator[ProfileBatch]:
        size = self.settings.batch_size
        for index in torch.multinomial(self.weights, count * size, replacement=True).split(size):
            yield ProfileBatch(*(t.index_select(0, index) for t in self.rows.train))

    def _step(self, optimiser: Any, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        optimiser.step()

    def _generator_loss(self, batch: ProfileBatch) -> dict[str, Tensor]:
        loss, fake = self.model.generator_loss(batch)  # type: ignore[operator]
        parts = {"generator_loss": loss}
        if len(self.physics):
            with torch.autocast(self.device.type, enabled=False):  # in degC per minute half precision is too coarse
                view = physical_view(fake.float(), batch.cond, batch.base, batch.base_duration_s, self.shape)
                for term in self.physics:
                    value = term(view)
                    parts[f"physics_{term.name}"] = value
                    parts["generator_loss"] = parts["generator_loss"] + term.weight * value
        return parts

    def _check(self, means: dict[str, float], step: int) -> None:
        """Raises FloatingPointError when the training cannot recover, and says what to try."""
        remedy = "Try a smaller model.optim.lr, trainer.gradient_clip=1, or more model.critic_steps"
        for name, value in means.items():
            if value != value or abs(value) == float("inf"):
                raise FloatingPointError(f"step {step}: {name.replace('_', ' ')} is no longer a number. {remedy}.")
        assert self.start_loss is not None
        if abs(means["critic_loss"]) > _EXPLODED * self.start_loss:
            raise FloatingPointError(
                f"step {step}: the critic exploded (loss {means['critic_loss']:.3g}, {self.start_loss:.3g} at the start). "
                f"{remedy}; with model=wgan_gp also a larger model.penalty."
            )

    def validation_step(self, index: Tensor, _: int) -> None:
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            _seed(self.seed, self.device)  # the same noise each time: steps differ by their weights alone
            drawn = self.model.sample(self.rows.val.cond, self.settings.val_draws)  # type: ignore[operator]
        health = {f"val/{name}": value for name, value in validation_health(self.rows.val, drawn, self.seed).items()}
        self._send(health)
        self.log_dict(health, logger=False, batch_size=1, sync_dist=self.trainer.world_size > 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["start_loss"] = self.start_loss

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.start_loss = checkpoint["start_loss"]

    def train_dataloader(self) -> DataLoader:
        blocks = -(-self.settings.epoch_steps // self.settings.log_every)
        return DataLoader(list(range(blocks)), batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(int(len(self.rows.val.x) > 0), 1), batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # numbers of blocks: the rows live on the device


def _seed(seed: int, device: torch.device) -> None:
    """As torch.manual_seed, which keeps a stack trace a call for accelerators that are never used."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def cell_weights(cell: Tensor, balance: float) -> Tensor:
    """(N,) weights of rows: each row's cell has n rows, each of which weighs n ** -balance."""
    _, index, sizes = cell.unique(return_inverse=True, return_counts=True)
    return sizes.double()[index] ** -balance


def _both(rows: AdversarialRows) -> tuple[ProfileBatch, ProfileBatch]:
    return rows.train, rows.val
