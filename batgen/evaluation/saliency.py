"""Which observed cycles a forecast hangs on: absolute gradients of any quantile with respect to the inputs."""

import torch
from torch import Tensor, nn

from batgen.models.sequence_base import SequenceBatch


def saliency(model: nn.Module, batch: SequenceBatch, target: int, steps: int, at_once: int = 64) -> Tensor:
    """(B, steps, Q, N, F): |d quantile of `target` at each of the first `steps` steps / d past| (Rahmanian et al., figs. 6, 7).

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
        past = chosen.past.clone().requires_grad_(True)
        with torch.enable_grad():
            quantiles = model.forecast(chosen._replace(past=past))  # type: ignore[operator]
            picked = quantiles[torch.arange(len(row)), output // levels, target, output % levels]
            (gradient,) = torch.autograd.grad(picked.sum(), past)
        found[row] = gradient.abs()
    model.train(was_training)
    return found.unflatten(0, (windows, steps, levels))
