"""The weights of many models in single tensors, and the AdamW that moves them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from batgen.training.optim import adamw

#: (models, weights by name with a first dimension of members) -> a model of them all.
StackOf = Callable[[Sequence[nn.Module], Mapping[str, Tensor]], Any]
Named = dict[str, Tensor]


@dataclass
class Weights:
    """What training has made of one model, in its own shapes: weights, those of the best epoch so far, and AdamW's state,
    the moments of its `steps` steps."""

    now: Named
    best: Named
    mean: Named
    square: Named
    steps: int = 0


def fresh(model: nn.Module) -> Weights:
    """The weights of a model that has not been trained."""
    now = {name: value.detach().clone() for name, value in model.named_parameters()}
    zeros = {name: torch.zeros_like(value) for name, value in now.items()}
    return Weights(now, dict(now), zeros, dict(zeros))


@dataclass
class StackMember:
    """A model, its weights, keys of AdamW, and how many steps an epoch has for it."""

    model: nn.Module
    weights: Weights
    optim: Mapping[str, float]
    pace: int


class Stack:
    """Models side by side, `members` in order of their pace, fastest first: when the batches of one are done, those before
    it go on alone.

    A name holds the weights of all members, in the largest of their shapes; what a member lacks is 0, and stays 0 because
    its gradient is 0. AdamW is torch's own: runs of members with the same keys and the same number of steps are one tensor
    to it.
    """

    def __init__(self, members: Sequence[StackMember], stack_of: StackOf, device: torch.device) -> None:
        self.members = members
        own = [m.weights.now for m in members]
        names = dict.fromkeys(name for one in own for name in one)
        shapes = {name: _largest([one[name].shape for one in own if name in one]) for name in names}

        def stacked(of: Callable[[Weights], Named]) -> Named:
            return {n: _stack([of(m.weights).get(n) for m in members], shapes[n], device) for n in names}

        self.now, self.best = stacked(lambda w: w.now), stacked(lambda w: w.best)
        self.mean, self.square = stacked(lambda w: w.mean), stacked(lambda w: w.square)
        self._stack_of = stack_of
        self._cuts: dict[int, tuple[Any, Named]] = {}
        self._steps = [m.weights.steps for m in members]
        kinds = [(tuple(sorted(m.optim.items())), m.weights.steps, m.pace) for m in members]
        edges = [0, *(i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]), len(kinds)]
        self._runs = [(slice(*ends), self._views(slice(*ends))) for ends in pairwise(edges)]
        self._optimisers = [self._optimiser(key) for key in dict.fromkeys(kind[0] for kind in kinds)]

    def _views(self, run: slice) -> dict[str, nn.Parameter]:
        return {name: nn.Parameter(value[run]) for name, value in self.now.items()}

    def _optimiser(self, key: tuple[tuple[str, float], ...]) -> torch.optim.Optimizer:
        """One AdamW for all members with these keys, in the state that they were left in."""
        mine = [(r, v) for r, v in self._runs if tuple(sorted(self.members[r.start].optim.items())) == key]
        found = adamw([view for _, views in mine for view in views.values()], **dict(key))
        for run, views in mine:
            for name, view in views.items():
                found.state[view] = {
                    "step": torch.tensor(float(self._steps[run.start]), device=view.device),
                    "exp_avg": self.mean[name][run],
                    "exp_avg_sq": self.square[name][run],
                }
        return found

    def cut(self, count: int) -> Any:
        """The model of the first `count` members."""
        return self._cut(count)[0]

    def _cut(self, count: int) -> tuple[Any, Named]:
        if count not in self._cuts:
            leaves = {name: value[:count].detach().requires_grad_() for name, value in self.now.items()}
            self._cuts[count] = (self._stack_of([m.model for m in self.members[:count]], leaves), leaves)
        return self._cuts[count]

    def step(self, losses: Tensor, clip: float | None) -> None:
        """One step of the first members, down their losses (count,). clip: the largest norm of a member's gradient."""
        leaves = self._cut(len(losses))[1]
        found = torch.autograd.grad(losses.sum(), list(leaves.values()))
        # Fused AdamW reads memory in the order of the weights, whatever the strides of a gradient say.
        gradients = {name: gradient.contiguous() for name, gradient in zip(leaves, found, strict=True)}
        if clip is not None:
            _clip(list(gradients.values()), clip)
        for run, views in self._runs:
            active = run.stop <= len(losses)
            for name, view in views.items():
                view.grad = gradients[name][run] if active else None
        for optimiser in self._optimisers:
            optimiser.step()
            optimiser.zero_grad()  # their memory is what the next gradients are written to
        for place in range(len(losses)):
            self._steps[place] += 1

    def keep(self, places: Sequence[int]) -> None:
        """The weights of these members are the best of theirs so far."""
        if len(places) == len(self.members):
            for name, best in self.best.items():
                best.copy_(self.now[name])
            return
        chosen = torch.tensor(places, device=next(iter(self.now.values())).device)
        for name, best in self.best.items():
            best[chosen] = self.now[name][chosen]

    def weights(self, place: int) -> Weights:
        """A member's own, as they are now (parts of the stack: copy what must not change)."""
        own = {name: value.shape for name, value in self.members[place].weights.now.items()}

        def of(values: Named) -> Named:
            return {name: values[name][place][tuple(map(slice, shape))] for name, shape in own.items()}

        return Weights(of(self.now), of(self.best), of(self.mean), of(self.square), self._steps[place])


def _largest(shapes: Sequence[torch.Size]) -> tuple[int, ...]:
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))


def _stack(values: Sequence[Tensor | None], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """(len(values), *shape), zero where a value is smaller or missing."""
    like = next(v for v in values if v is not None)
    found = torch.zeros(len(values), *shape, dtype=like.dtype, device=device)
    for place, value in zip(found, values, strict=True):
        if value is not None:
            place[tuple(map(slice, value.shape))] = value
    return found


def _clip(gradients: Sequence[Tensor], largest: float) -> None:
    """Scale each member's gradients (count, ...) down to the norm `largest`, as torch.nn.utils.clip_grad_norm_ does."""
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
    factor = (largest / (norms + 1e-6)).clamp(max=1.0)
    for g in gradients:
        g.mul_(factor.view(-1, *(1,) * (g.dim() - 1)))
