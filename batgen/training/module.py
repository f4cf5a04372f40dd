"""The one Lightning module: any model with `loss`, `sample` and perhaps `reconstruct`, trained by gradient."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from batgen.models.base import Batch
from batgen.training.datamodule import BLOCK, CurveData, epoch_seed
from batgen.training.settings import Training

OptimiserOf = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


class GenerativeModule(pl.LightningModule):
    """Trains `model` on blocks of minibatches.

    Optimisation is manual, so that one Lightning step can hold many optimiser steps: per-step bookkeeping, a fifth of the
    time of a small model, is paid once a block. All randomness of an epoch is seeded by (seed, epoch), so that a resumed
    run repeats the unbroken one.

    Several processes (ddp) do together what one would do: the same minibatches in the same order, shared by whole cells
    (`shares`), with the noise that `draw_noise` draws for the whole minibatch. Their gradients differ from those of one
    process by rounding. What a model draws elsewhere (dropout of rcvae_continuous; everything, in a model without
    `draw_noise`), each process draws for its own rows: such a model trains equally well, but not equally.
    """

    def __init__(self, model: nn.Module, optimiser_of: OptimiserOf, settings: Training, seed: int):
        super().__init__()
        self.automatic_optimization = False
        self.model, self.optimiser_of, self.settings, self.seed = model, optimiser_of, settings, seed
        self._loss: Callable[..., dict[str, Tensor]] = model.loss  # type: ignore[assignment]
        if settings.compile:
            self._loss = torch.compile(model.loss)  # type: ignore[arg-type]

    @property
    def data(self) -> CurveData:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimiser_of([p for p in self.model.parameters() if p.requires_grad])

    def on_fit_start(self) -> None:
        self.data.on_device(self.device)

    def on_train_epoch_start(self) -> None:
        self._batches = self.data.batches(self.current_epoch)

    def training_step(self, block: int, _: int) -> None:
        indices = self._batches[block * BLOCK : (block + 1) * BLOCK]
        # Here and not at the start of the epoch: data loaders draw from the global generator when they are opened.
        torch.manual_seed(epoch_seed(self.seed, self.current_epoch) + 7919 * block + self._own_stream())
        optimiser: Any = self.optimizers()
        clip = self.settings.gradient_clip
        sums: dict[str, Tensor] = {}
        for index in indices:
            parts = self._share_of_loss(index)
            optimiser.zero_grad(set_to_none=True)
            self.manual_backward(parts["loss"])  # under ddp all processes leave it with the mean of their gradients
            if clip is not None:  # not Lightning's own: it refuses fused optimisers, for the sake of float16 scaling
                nn.utils.clip_grad_norm_(self.model.parameters(), clip)
            optimiser.step()
            for name, value in parts.items():
                sums[name] = value.detach() if name not in sums else sums[name] + value.detach()
        totals = {name: self.trainer.strategy.reduce(value.float(), reduce_op="mean") for name, value in sums.items()}
        if not bool(torch.isfinite(totals["loss"])):  # in all processes at once: none is left waiting for the others
            raise FloatingPointError(f"epoch {self.current_epoch}: the training loss is no longer finite")
        means = {f"train/{name}": value / len(indices) for name, value in totals.items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(indices))

    def _own_stream(self) -> int:
        """What sets this process's random numbers apart: nothing where all draw the noise of the whole minibatch."""
        return 0 if hasattr(self.model, "draw_noise") else self.global_rank

    def _share_of_loss(self, index: Tensor) -> dict[str, Tensor]:
        """The loss and its parts of this process's rows of a minibatch, whose mean over processes is that of all rows."""
        batch = self.data.rows("train", index, self.device)
        noise = (self.model.draw_noise(batch),) if hasattr(self.model, "draw_noise") else ()  # type: ignore[operator]
        if self.trainer.world_size == 1:
            return self._loss(batch, *noise)
        rows, weight = self.data.share(index)
        rows = rows.to(self.device)
        parts = self._loss(Batch(*(t[rows] for t in batch)), *(t[rows] for t in noise))
        return {name: value * weight for name, value in parts.items()}

    def validation_step(self, index: Tensor, _: int) -> None:
        batch = self.data.rows("val", index, self.device)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.seed)  # the same noise each time: epochs differ by their weights alone
            for name, value in validation_scores(self.model, batch, self.settings.val_draws).items():
                self.log(f"val/{name}", value, batch_size=len(index), on_epoch=True, on_step=False, sync_dist=True)


@torch.no_grad()
def validation_scores(model: nn.Module, batch: Batch, draws: int) -> dict[str, Tensor]:
    """Scores of one batch in scaled space: loss; mae, eq. 18 of Jiang et al., of the reconstruction; crps of prior draws.

    CRPS is the unbiased pairwise estimator E|s - x| - E|s - s'| / 2 over neighbouring draws, mean over all elements.
    """
    scores = {"loss": model.loss(batch)["loss"]}  # type: ignore[operator]
    if hasattr(model, "reconstruct"):
        scores["mae"] = (model.reconstruct(batch.x, batch.cond, batch.cell) - batch.x).abs().mean()  # type: ignore[operator]
    drawn = model.sample(batch.cond, max(draws, 2))  # type: ignore[operator]
    spread = (drawn - drawn.roll(1, 0)).abs().mean()
    scores["crps"] = (drawn - batch.x).abs().mean() - 0.5 * spread
    return scores
