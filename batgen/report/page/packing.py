"""Numbers for the page's scripts, small: 16 bits a point of a curve, four digits for anything else."""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Steps between the lowest and the highest point of a curve.
_STEPS = 65534


def packed(values: np.ndarray) -> dict[str, Any]:
    """Curves (..., P) as base64 of little-endian uint16 between each curve's own lowest and highest point; 65535 is NaN.

    "ends": lowest and step of each curve, flat. A value is low + step * code.
    """
    flat = np.where(np.isfinite(values), values, np.nan).reshape(-1, values.shape[-1]).astype(np.float64)
    known = ~np.isnan(flat)
    low = np.where(known, flat, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, flat, -np.inf).max(axis=1, initial=-np.inf)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    step = (high - low) / _STEPS
    code = np.rint((flat - low[:, None]) / np.where(step > 0, step, 1.0)[:, None])
    data = np.where(known, code, _STEPS + 1).astype("<u2").tobytes()
    ends = [float(f"{v:.9g}") for pair in zip(low, step, strict=True) for v in pair]
    return {"shape": list(values.shape), "ends": ends, "data": base64.b64encode(data).decode("ascii")}


def plain(values: np.ndarray | Sequence[float], digits: int = 4) -> list[float | None]:
    """A list of numbers with few digits, None where not finite."""
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in map(float, np.asarray(values).ravel())]


def evenly(count: int, total: int) -> np.ndarray:
    """At most `count` of the places 0..total-1, evenly spaced, first and last among them."""
    return np.unique(np.linspace(0, max(total - 1, 0), min(count, total)).round().astype(int))
