"""How a GAN is doing on profiles it was not trained on: distances of distributions, and signs of mode collapse."""

import numpy as np
from torch import Tensor

from batgen.evaluation.distances import energy_distance, energy_score
from batgen.evaluation.diversity import spread_and_skill, variance_ratio
from batgen.evaluation.failures import nearest_pair_ratio
from batgen.models.base import ProfileBatch


def validation_health(val: ProfileBatch, drawn: Tensor, seed: int) -> dict[str, float]:
    """Scores of draws (K, N, S + 1, P) for the conditions of the N validation rows, all in scaled space, without a unit.

    energy_score: mean over rows, a proper score of the conditional distribution; its excess over that of the truth is
    half the energy distance between the two. energy_distance: between all draws and all rows, conditions apart.
    variance_ratio: 1 is calibrated, 0 a collapse to one profile a condition. nearest_pair: median distance to the nearest
    other draw of the same condition, over that between validation rows of one cell.
    """
    draws, rows = drawn.cpu().numpy().astype(np.float64), val.x.cpu().numpy().astype(np.float64)
    real, made = _vectors(rows), _vectors(draws)
    cells = val.cell.cpu().numpy()
    names = tuple(f"signal{i}" for i in range(rows.shape[1]))
    spread, skill = spread_and_skill(rows, draws, names)
    ratios = [v for k, v in variance_ratio(spread, skill, len(draws)).items() if k != names[-1]]
    # one draw a row: as many generated profiles as measured ones
    rng = np.random.default_rng(seed)
    one = made[rng.integers(len(made), size=len(real)), np.arange(len(real))]
    return {
        "energy_score": float(energy_score(real, made).mean()),
        "energy_distance": float(energy_distance(real, one)),
        "variance_ratio": float(np.mean(ratios)),
        "nearest_pair": float(nearest_pair_ratio(made, real, cells)),
    }


def _vectors(x: np.ndarray) -> np.ndarray:
    """(..., S + 1, P) -> (..., S P + 1): a distance is the root mean square over points, the log-duration one more."""
    points = x.shape[-1] * (x.shape[-2] - 1)
    flat = x[..., :-1, :].reshape(*x.shape[:-2], points) / np.sqrt(points)
    return np.concatenate([flat, x[..., -1, :1]], axis=-1)
