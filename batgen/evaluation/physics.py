"""How many profiles are physically possible: pass rates of the physics checks."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch

from batgen.models.layers.physical import PhysicalView


class Check(Protocol):
    """A fitted physics loss, `batgen.models.physics`."""

    name: str

    def passes(self, view: PhysicalView) -> torch.Tensor: ...


@torch.no_grad()
def passed(checks: Iterable[Check], view: PhysicalView) -> dict[str, np.ndarray]:
    """Name of the check -> bool (N,): whether each profile of the view passes it.

    Values that are not finite fail all checks. ValueError for a view without profiles.
    """
    if len(view.mask) == 0:
        raise ValueError("pass rates need at least one profile.")
    behind = view.mask == 0
    finite = torch.isfinite(view.step_s)
    for values in view.signals.values():
        finite &= (torch.isfinite(values) | behind).all(1)
    return {check.name: (check.passes(view) & finite).cpu().numpy() for check in checks}


def pass_rates(checks: Iterable[Check], view: PhysicalView) -> dict[str, float]:
    """Name of the check -> share of the profiles that pass it; 1 is best, and measured profiles reach about 0.99.

    A check passes a profile whose statistic (see each class in `batgen.models.physics`) is within the tolerance taken
    from the measured training records. Generated profiles are to be compared with measured held-out ones, not with 1.
    ValueError for a view without profiles.
    """
    return {name: float(passes.mean()) for name, passes in passed(checks, view).items()}
