"""Small planted profiles for the tests of GANs: a temperature whose rise is a law of the conditions."""

import torch
from torch import Tensor

from batgen.models.base import DataShape, ProfileBatch, ProfileScales

POINTS = 16
COND = ("ambient_degC", "start_temperature_degC", "c_rate", "c_rate_rms")
NOMINAL_AH = 2.0
#: centre and scale of temperature rise (degC) and of the log-duration (s)
CENTRE, SCALE = (4.0, 8.0), (2.0, 0.25)


def shape(
    conditions: tuple[str, ...] = COND,
    signals: tuple[str, ...] = ("temperature_degC",),
    step_s: float | None = None,
    relative: str = "start",
) -> DataShape:
    """Shape of profiles of `signals`; those after the temperature have centre 1 and scale 0.5."""
    more = len(signals) - 1
    centre, scale = ((v[0], *[w] * more, v[1]) for v, w in ((CENTRE, 1.0), (SCALE, 0.5)))
    profile = ProfileScales(centre, scale, step_s, NOMINAL_AH, relative, "discharge")
    return DataShape((len(signals) + 1, POINTS), (*signals, "log_duration"), conditions, profile=profile)


def conditions(rows: int, seed: int = 0) -> Tensor:
    """(rows, 4) in the order of COND: three ambients, starts a little above them, currents of 0.5 to 2.5 C."""
    g = torch.Generator().manual_seed(seed)
    ambient = torch.tensor([10.0, 25.0, 40.0])[torch.randint(3, (rows,), generator=g)]
    start = ambient + 2 * torch.rand(rows, generator=g)
    rate = 0.5 + 2 * torch.rand(rows, generator=g)
    return torch.stack([ambient, start, rate, 1.1 * rate], 1)


def rows(count: int = 60, seed: int = 0, cells: int = 6) -> ProfileBatch:
    """Rises of 3 degC per C, to the root of time, with noise; an hour over the C-rate long; of `shape()`."""
    g = torch.Generator().manual_seed(seed)
    cond = conditions(count, seed)
    rise = 3 * cond[:, 2:3] * torch.linspace(0, 1, POINTS).sqrt() * (1 + 0.05 * torch.randn(count, 1, generator=g))
    log_duration = (3600 / cond[:, 2]).log() + 0.02 * torch.randn(count, generator=g)
    channels = [(rise - CENTRE[0]) / SCALE[0], ((log_duration - CENTRE[1]) / SCALE[1])[:, None].expand(-1, POINTS)]
    base = cond[:, 1, None, None].expand(-1, 1, POINTS).clone()
    return ProfileBatch(torch.stack(channels, 1), cond, torch.arange(count) % cells, base, torch.ones(count))
