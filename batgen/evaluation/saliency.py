"""Which observed cycles a forecast hangs on: absolute gradients of any quantile with respect to the inputs."""

import torch
from torch import Tensor, nn

from batgen.models.sequence_base import SequenceBatch


def saliency(model: nn.Module, batch: SequenceBatch, target: int, steps: int, at_once: int = 64) -> Tensor:
    """(B, steps, Q, N, F): |d quantile of `target` at each of the first `steps` steps / d past| (Rahmanian et al., figs. 6, 7).

    What a forecast owes to the value at the cut, from which residuals count, is part of the last observed step.
    Every window is repeated once for each (step, quantile), and a single backward pass through the repeated batch gives all
    gradients: rows do not mix, so the gradient of the sum of one output a row is the gradient of each. at_once: rows a pass.
    """
    levels = len(model.levels)  # type: ignore[arg-type]
    windows, per_window, block = len(batch.past), steps * levels, getattr(model, "block", 1)
    found = torch.zeros(windows * per_window, *batch.past.shape[1:])
    was_training = model.training
    model.eval()
    for start in range(0, windows * per_window, at_once):
        row = torch.arange(start, min(start + at_once, windows * per_window))
        window, output = row // per_window, row % per_window
        # a block depends on none after it: what is behind the last one asked for is not decoded
        last = (int((output // levels).max()) // block + 1) * block
        chosen = SequenceBatch(*(x[window] for x in batch))
        chosen = chosen._replace(
            future=chosen.future[:, :last], target=chosen.target[:, :last], weight=chosen.weight[:, :last]
        )
        past, held = chosen.past.clone().requires_grad_(True), chosen.last.clone().requires_grad_(True)
        with torch.enable_grad():
            quantiles = model.forecast(chosen._replace(past=past, last=held))  # type: ignore[operator]
            every = torch.arange(len(row))
            picked = quantiles[every, output // levels, target, output % levels]
            gradient, at_cut = torch.autograd.grad(picked.sum(), (past, held), materialize_grads=True)
        gradient = gradient.clone()  # it may be one number spread out
        gradient[every, chosen.length - 1, : at_cut.shape[1]] += at_cut
        found[row] = gradient.abs()
    model.train(was_training)
    return found.unflatten(0, (windows, steps, levels))
