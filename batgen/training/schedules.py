"""Learning-rate schedules as factors of the optimiser's own rate, for `torch.optim.lr_scheduler.LambdaLR`.

Each function takes the number of optimiser steps of the whole training and returns step (from 0) -> factor in [0, 1].
Steps past the end keep the last factor: the scheduler is asked once more after the last step.
"""

import difflib
import math
from collections.abc import Callable

from batgen.errors import ConfigError

Factor = Callable[[int], float]


def _half_cosine(begin: float, end: float, share: float) -> float:
    """From `begin` at share 0 to `end` at share 1 along half a cosine."""
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


def constant(total: int) -> Factor:
    """1 throughout."""
    return lambda step: 1.0


def cosine(total: int) -> Factor:
    """From 1 at the first step to 0 just after the last (Loshchilov and Hutter 2017, eq. 5, without restarts)."""
    return lambda step: _half_cosine(1.0, 0.0, min(step, total) / total)


def one_cycle(total: int, warmup: float = 0.3, start: float = 1 / 25, final: float = 1e-4) -> Factor:
    """Up from `start` to 1 over the share `warmup` of the steps, then down to `final` at the last, both along cosines.

    Smith and Topin 2018, in the two-phase form and with the step count of torch's OneCycleLR. Too few steps for a rise
    begin at 1.
    """
    peak, last = max(warmup * total - 1, 0.0), total - 1

    def factor(step: int) -> float:
        if step < peak:
            return _half_cosine(start, 1.0, step / peak)
        return _half_cosine(1.0, final, (min(step, last) - peak) / (last - peak)) if last > peak else 1.0

    return factor


def linear_warmup(total: int, warmup: float = 0.1) -> Factor:
    """Up in equal parts over the share `warmup` of the steps (1/n at the first, so that no step is idle), then 1."""
    n = max(math.ceil(warmup * total), 1)
    return lambda step: min((step + 1) / n, 1.0)


SCHEDULES: dict[str, Callable[[int], Factor]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "linear_warmup": linear_warmup,
}


def lr_factor(name: str, total: int) -> Factor:
    """The schedule of that name over `total` optimiser steps. Raises ConfigError for an unknown name."""
    if total < 1:
        raise ValueError(f"a schedule of {total} steps")
    if name not in SCHEDULES:
        near = difflib.get_close_matches(str(name), SCHEDULES, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(SCHEDULES)}."
        raise ConfigError(f"trainer.schedule: {name!r} is no learning-rate schedule; {hint}")
    return SCHEDULES[name](total)
