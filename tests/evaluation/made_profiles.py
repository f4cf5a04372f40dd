"""Profiles of known laws that tests of the profile metrics share."""

from pathlib import Path

import numpy as np
import pandas as pd

POINTS = 48
T = np.linspace(0.0, 1.0, POINTS)


def profiles(
    cells: int, each: int, rng: np.random.Generator, shift: float = 0.0, spread: float = 1.0, noise: float = 0.02
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Temperature curves (N, 1, P) in degC, durations (N,) in s and cell numbers (N,): cells differ, and rows of a cell.

    A rise and a bump with random sizes; `shift` moves the mean rise, `spread` scales all deviations from the mean.
    """
    cell = np.repeat(np.arange(cells), each)
    size = spread * (rng.normal(size=(cells, 3))[cell] * 0.5 + rng.normal(size=(cells * each, 3)))
    rise, bump, longer = 10.0 + shift + size[:, 0], 2.0 + 0.7 * size[:, 1], 0.05 * (size[:, 2] + 0.5 * size[:, 0])
    curves = 24.0 + np.outer(rise, T) + np.outer(bump, np.sin(np.pi * T)) + noise * rng.normal(size=(len(cell), POINTS))
    return curves[:, None], 3000.0 * np.exp(longer), cell


def nasa_discharges(data_dir: Path, name: str, points: int = POINTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured temperature (N, 1, P) in degC on `points` even steps of each record, duration (N,) in s, cycle (N,)."""
    table = pd.read_csv(data_dir / "nasa_pcoe" / "discharge_concat_csv" / f"{name}.csv.gz")
    curves, durations, cycles = [], [], []
    for cycle, record in table.groupby("cycle_idx"):
        time, temperature = record["Time"].to_numpy(), record["Temperature_measured"].to_numpy()
        curves.append(np.interp(np.linspace(time[0], time[-1], points), time, temperature))
        durations.append(time[-1] - time[0])
        cycles.append(cycle)
    return np.array(curves)[:, None], np.array(durations), np.array(cycles)
