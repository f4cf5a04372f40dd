"""Forecasts made by hand: a straight truth, a known error, normal quantiles of a known width."""

from typing import Any

import numpy as np
from scipy.stats import norm

from batgen.evaluation.forecast import Forecast

LEVELS = np.array([0.1, 0.5, 0.9])


def made(median: np.ndarray, truth: np.ndarray, width: float | np.ndarray = 0.0, **options: Any) -> Forecast:
    """Forecast whose quantiles are those of a normal of standard deviation `width` about `median` (H,); cut at 10."""
    levels = np.asarray(options.pop("levels", LEVELS))
    known: dict[str, Any] = {
        "cell_id": "a",
        "test_set": "test",
        "target": "discharge_capacity_Ah",
        "cut_cycle": 10,
        "observed_cycle": np.arange(1, 11),
        "observed": np.ones(10),
        "nominal_capacity_Ah": 2.0,
        "eol_value": 1.6,
        "truth_eol_cycle": float("nan"),
        "truth_last_cycle": 10 + int(np.flatnonzero(np.isfinite(truth))[-1]) + 1 if np.isfinite(truth).any() else 10,
    }
    known |= options
    cycle = known.pop("cycle", known["cut_cycle"] + 1 + np.arange(len(truth)))
    quantiles = np.asarray(median)[:, None] + np.broadcast_to(width, np.shape(median))[:, None] * norm.ppf(levels)
    return Forecast(cycle=cycle, levels=levels, quantiles=quantiles, truth=np.asarray(truth, dtype=float), **known)


def noisy(
    cells: int, claimed: float = 1.0, seed: int = 0, steps: int = 400, growth: float = 0.0, **options: Any
) -> list[Forecast]:
    """Cells whose error has a part of its own (0.8) and one of each cycle (0.6), unit variance together, x 0.01.

    The forecast claims `claimed` times that deviation; with `growth` the truth strays (1 + growth x share of horizon).
    """
    rng = np.random.default_rng(seed)
    result = []
    for number in range(cells):
        median = np.linspace(2.0, 1.7, steps)
        spread = 0.01 * (1 + growth * np.linspace(0, 1, steps))
        error = spread * (0.8 * rng.normal() + 0.6 * rng.normal(size=steps))
        result.append(made(median, median + error, claimed * 0.01, cell_id=f"c{number}", **options))
    return result
