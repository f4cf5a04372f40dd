"""Many small models trained at once: their weights stacked, one vectorised step for all (torch.func).

A case, a fold and a seed each want a model of their own on a few hundred rows; one after the other, the time would go to
overhead. Members may have different numbers of rows. Each draws its batches and noise from a stream of its own, so a
member becomes the same, up to rounding, whoever is trained beside it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from batgen.errors import ConfigError
from batgen.models.base import Batch, MaskedBatch
from batgen.training.device import accelerator_on


@dataclass(frozen=True)
class EnsembleTraining:
    """The trainer node of models that are trained side by side.

    epochs: passes over the rows. batch_size: rows a step, null for all of them. at_once: members in one step; more of
    them need more memory. accelerator: cpu | gpu | auto.
    """

    ACCEPTS = ("pulses",)

    epochs: int = 100
    batch_size: int | None = None
    at_once: int = 8
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "at_once"):
            value = getattr(self, key)
            if value is not None and value < (0 if key == "epochs" else 1):
                raise ConfigError(f"trainer.{key}: {value} must be {0 if key == 'epochs' else 1} or more.")
        if self.accelerator not in ("cpu", "gpu", "auto"):
            raise ConfigError(f"trainer.accelerator: {self.accelerator!r} is none of cpu, gpu, auto.")

    def on(self, device: str | None) -> "EnsembleTraining":
        """These settings on the root knob `device`. Raises ConfigError when they contradict each other or there is no GPU."""
        return replace(self, accelerator=accelerator_on(self.accelerator, device))

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.accelerator == "cpu" or not torch.cuda.is_available() else "cuda")


@dataclass
class Member:
    """One model and the rows it learns from. `seed` starts its stream of batches and noise."""

    model: nn.Module
    rows: Batch
    seed: int


class _Loss(nn.Module):
    """`functional_call` calls forward; a model has a loss."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: MaskedBatch, noise: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.model.loss(batch, noise)  # type: ignore[operator]
        return found


def train_ensemble(
    members: Sequence[Member],
    settings: EnsembleTraining,
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
    advance: Callable[[int], None] = lambda epochs: None,
) -> list[list[dict[str, float]]]:
    """Train all members in place; for each, one {"epoch": ..., "loss": ..., ...} an epoch (means over its steps).

    All models have one architecture. `advance` is told how many epochs of members are done, for a progress bar. Raises
    ConfigError when a loss is no longer a number.
    """
    found: list[list[dict[str, float]]] = [[] for _ in members]
    if not settings.epochs:
        return found
    order = sorted(range(len(members)), key=lambda i: _step_count(members[i], settings.batch_size))
    for start in range(0, len(order), settings.at_once):
        part = order[start : start + settings.at_once]
        for place, history in zip(
            part, _train_part([members[i] for i in part], settings, optimiser, advance), strict=True
        ):
            found[place] = history
    return found


def _step_count(member: Member, batch_size: int | None) -> int:
    """Steps an epoch."""
    return 1 if batch_size is None else -(-len(member.rows.x) // batch_size)


def _train_part(
    members: Sequence[Member],
    settings: EnsembleTraining,
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
    advance: Callable[[int], None],
) -> list[list[dict[str, float]]]:
    """`members` in order of their number of steps.

    Those with equally many share the parameters that the optimiser sees, views of the stacked ones: when their batches are
    done these have no gradient, and it leaves them and its own state of them alone until the next epoch.
    """
    device = settings.device
    losses = [_Loss(m.model.to(device).train()) for m in members]
    stacked, buffers = stack_module_state(losses)
    parameters = {name: value.detach() for name, value in stacked.items()}
    plans = [_Plan(m, settings.batch_size, device) for m in members]
    counts = [plan.steps for plan in plans]
    steps = torch.tensor(counts, device=device)
    views = [
        (count, name, run, nn.Parameter(value[run]))
        for count in sorted(set(counts))
        for run in [slice(counts.index(count), counts.index(count) + counts.count(count))]
        for name, value in parameters.items()
    ]
    make = optimiser([view for *_, view in views])

    def loss(p: Any, b: Any, batch: MaskedBatch, noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        parts: dict[str, Tensor] = functional_call(losses[0], (p, b), (batch, noise))
        return parts["loss"], parts

    gradient = vmap(grad_and_value(loss, has_aux=True))
    history: list[list[dict[str, float]]] = [[] for _ in members]
    for epoch in range(1, settings.epochs + 1):
        sums: dict[str, Tensor] = {}
        for plan in plans:
            plan.shuffle()
        for number in range(counts[-1]):
            batches = [plan.batch(number) for plan in plans]
            active = number < steps
            gradients, (_, parts) = gradient(parameters, buffers, *_pad(batches))
            for count, name, run, view in views:
                view.grad = gradients[name][run] if number < count else None
            make.step()
            for name, value in parts.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + torch.where(active, value, 0.0)
        for name, value in sums.items():
            if not bool(value.isfinite().all()):
                raise ConfigError(f"epoch {epoch}: {name} is no longer a number. Lower model.optim.lr.")
        means = {name: (value / steps).tolist() for name, value in sums.items()}
        for place, rows in enumerate(history):
            rows.append({"epoch": float(epoch), **{name: values[place] for name, values in means.items()}})
        advance(len(members))
    with torch.no_grad():
        for place, one in enumerate(losses):
            for name, weight in one.named_parameters():
                weight.copy_(parameters[name][place])
            one.model.to("cpu").eval()
    return history


class _Plan:
    """The batches of one member: which rows, and its noise, from its own stream."""

    def __init__(self, member: Member, batch_size: int | None, device: torch.device) -> None:
        self.x, self.cond = member.rows.x.to(device), member.rows.cond.to(device)
        self.size = len(self.x) if batch_size is None else min(batch_size, len(self.x))
        self.steps = _step_count(member, batch_size)
        self.noise_size = int(member.model.noise_size)  # type: ignore[arg-type]
        self.stream = torch.Generator().manual_seed(member.seed)
        self.order = torch.arange(len(self.x))

    def shuffle(self) -> None:
        if self.steps > 1:
            self.order = torch.randperm(len(self.x), generator=self.stream)

    def batch(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """x, cond and noise of step `number`; the first batch without noise when the member has no such: its stream must not
        depend on how long the others take."""
        if number >= self.steps:
            x, cond = self.x[: self.size], self.cond[: self.size]
            return x, cond, x.new_zeros(len(x), self.noise_size)
        chosen = self.order[number * self.size :][: self.size].to(self.x.device)
        noise = torch.randn(len(chosen), self.noise_size, generator=self.stream).to(self.x)
        return self.x[chosen], self.cond[chosen], noise


def _pad(batches: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[MaskedBatch, Tensor]:
    """Stack batches of several lengths: (members, longest, ...), with mask 0 where a member has no row.

    The added rows repeat the member's first, so that they are as harmless to every layer as real ones.
    """
    longest = max(len(x) for x, _, _ in batches)

    def filled(value: Tensor) -> Tensor:
        return torch.cat([value, value[:1].expand(longest - len(value), *value.shape[1:])])

    x, cond, noise = (torch.stack([filled(v) for v in values]) for values in zip(*batches, strict=True))
    counts = torch.tensor([len(b[0]) for b in batches], device=x.device)
    mask = (torch.arange(longest, device=x.device) < counts[:, None]).to(x.dtype)
    return MaskedBatch(x, cond, mask), noise
