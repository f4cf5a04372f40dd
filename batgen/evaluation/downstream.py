"""What synthetic curves are worth where few cells were measured: a regression learnt with and without them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from batgen.evaluation.profile_utility import cell_mean_error

#: What a regression learns from. The constant is the mean target of the measured rows.
REAL, BOTH, SYNTHETIC, CONSTANT = SOURCES = ("real", "real+synthetic", "synthetic", "constant")
#: `CHOSEN` is whichever of the two is better where whole cells are left out of the rows it learns from.
RIDGE, FOREST, CHOSEN = "ridge", "forest", "chosen"
#: No regressor at all; and the one of pulse runs, which is not chosen.
NONE, GAUSSIAN_PROCESS = "none", "gaussian_process"
#: The regressors whose errors stand for a source in tables, figures and gains.
SPEAKS = (CHOSEN, NONE, GAUSSIAN_PROCESS)
Candidate = tuple[str, float]
SEGMENTS, FOLDS, TREES = 24, 5, 100
#: Principal components that the ridge and the forest see; what says SOH can be a small part of how curves differ.
RIDGE_COMPONENTS, FOREST_COMPONENTS = 60, 12
#: Penalties of the ridge, in summed squares of the first component.
ALPHAS = np.logspace(-7, 0, 8)
#: Estimates may leave the range of the measured targets by this part of it, or of their mean where that is more.
MARGIN, LEAST_MARGIN = 0.5, 0.02


@dataclass(frozen=True)
class LabelledRows:
    """Inputs (N, F), target (N,), cell (N,) of each row; weight (N,) of a row; scored (N,) bool: rows whose error chooses
    the regressor (the measured ones, where there are any)."""

    inputs: np.ndarray
    target: np.ndarray
    cells: np.ndarray
    weight: np.ndarray
    scored: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray, target: np.ndarray, cells: np.ndarray) -> "LabelledRows":
        """Rows that weigh the same; those with NaN or infinity (a generator's failures) are left out.

        Raises ValueError for shapes that do not match and where no row is left.
        """
        if inputs.ndim != 2 or target.shape != (len(inputs),) or np.shape(cells) != (len(inputs),):
            raise ValueError(f"need (N, F), (N,) and (N,), got {inputs.shape}, {target.shape}, {np.shape(cells)}")
        fine = np.isfinite(inputs).all(axis=1) & np.isfinite(target)
        if not fine.any():
            raise ValueError(f"none of {len(fine)} rows is finite")
        count = int(fine.sum())
        return cls(inputs[fine], target[fine], np.asarray(cells)[fine], np.ones(count), np.ones(count, bool))

    def take(self, kept: np.ndarray) -> "LabelledRows":
        """The rows where `kept` (N,) is true."""
        return LabelledRows(*(getattr(self, part.name)[kept] for part in fields(self)))

    def beside(self, synthetic: "LabelledRows") -> "LabelledRows":
        """These measured rows and synthetic ones: either side weighs as much as the other, the measured ones choose."""
        share = len(self.target) / len(synthetic.target)
        return LabelledRows(
            np.r_[self.inputs, synthetic.inputs],
            np.r_[self.target, synthetic.target],
            np.r_[self.cells, synthetic.cells],
            np.r_[self.weight, synthetic.weight * share],
            np.r_[self.scored, np.zeros(len(synthetic.target), bool)],
        )


def regression_inputs(curves: np.ndarray) -> np.ndarray:
    """curves (N, S, P) -> (N, S * 24): means of each signal over 24 equal stretches (P where that is fewer), in its unit."""
    stretches = np.array_split(curves.astype(np.float64), min(SEGMENTS, curves.shape[-1]), axis=-1)
    return np.stack([s.mean(axis=-1) for s in stretches], axis=-1).reshape(len(curves), -1)


def downstream_errors(
    real: LabelledRows, synthetic: LabelledRows, test: LabelledRows, signals: int, seed: int
) -> list[dict[str, Any]]:
    """MAE on held-out measured rows of every source and regressor: rows {source, regressor, value, n}.

    Inputs as from `regression_inputs` of `signals` signals. value: mean over the test cells of each cell's mean absolute
    error, in the unit of the target, lower is better; n: rows learnt from. The setting is train-on-synthetic-test-on-real
    (Esteban et al. 2017) and the gain from adding synthetic to measured rows. Nothing is chosen on test rows: the scales,
    the principal components, the strength of the ridge and the regressor come from the rows of each source, by leaving
    out whole cells, with the synthetic rows drawn for them; in real+synthetic the measured rows alone are scored.
    Estimates are kept within the measured targets and half their range, for every source alike. Raises ValueError for
    shapes that do not match.
    """
    if len({rows.inputs.shape[1] for rows in (real, synthetic, test)}) > 1 or test.inputs.shape[1] % signals:
        raise ValueError(f"need inputs of one width, a multiple of {signals}, for real, synthetic and test rows")
    low, high = _plausible(real.target)
    found = []
    for source, rows in ((REAL, real), (BOTH, real.beside(synthetic)), (SYNTHETIC, synthetic)):
        scores = _left_out_errors(rows, signals, seed)
        best = {name: min((k for k in scores if k[0] == name), key=lambda k: scores[k]) for name in (RIDGE, FOREST)}
        chosen = min(best, key=lambda name: scores[best[name]])
        estimates = _estimates(best.values(), rows, test.inputs, signals, seed)
        error = {
            name: cell_mean_error(test.target, np.clip(estimates[candidate], low, high), test.cells)
            for name, candidate in best.items()
        }
        for name, value in {**error, CHOSEN: error[chosen]}.items():
            found.append({"source": source, "regressor": name, "value": value, "n": len(rows.target)})
    constant = cell_mean_error(test.target, np.full(len(test.target), real.target.mean()), test.cells)
    return [*found, {"source": CONSTANT, "regressor": NONE, "value": constant, "n": len(real.target)}]


def _plausible(target: np.ndarray) -> tuple[float, float]:
    """Ends (low, high) of what an estimate may be."""
    margin = max(MARGIN * float(np.ptp(target)), LEAST_MARGIN * abs(float(target.mean())))
    return float(target.min()) - margin, float(target.max()) + margin


def _left_out_errors(rows: LabelledRows, signals: int, seed: int) -> dict[Candidate, float]:
    """Mean absolute error of each candidate (name, strength) on the scored rows of cells left out, at most 5 times.

    Of one cell nothing can be left out: then the strongest ridge scores best.
    """
    candidates = [*((RIDGE, float(a)) for a in ALPHAS[::-1]), (FOREST, 0.0)]
    scored = np.flatnonzero(rows.scored)
    folds = min(FOLDS, len(np.unique(rows.cells[scored])))
    if folds < 2:
        return {candidate: float(place) for place, candidate in enumerate(candidates)}
    error = dict.fromkeys(candidates, 0.0)
    for _, left in GroupKFold(folds).split(scored, groups=rows.cells[scored]):
        tested = scored[left]
        kept = rows.take(~np.isin(rows.cells, rows.cells[tested]))
        for candidate, estimate in _estimates(candidates, kept, rows.inputs[tested], signals, seed).items():
            error[candidate] += float(np.abs(estimate - rows.target[tested]).sum()) / len(scored)
    return error


def _estimates(
    candidates: Iterable[Candidate], rows: LabelledRows, inputs: np.ndarray, signals: int, seed: int
) -> dict[Candidate, np.ndarray]:
    """What each candidate, fitted to `rows`, says of inputs (M, F): (M,) each.

    Each signal is divided by one scale, its spread between rows over all its stretches, so that the noise of a stretch that
    never changes is not blown up; then come principal components.
    """
    centre = np.average(rows.inputs, axis=0, weights=rows.weight)
    spread = (rows.inputs - centre).reshape(len(rows.inputs), signals, -1).std(axis=(0, 2))
    scale = np.repeat(np.where(spread > 1e-9, spread, 1.0), rows.inputs.shape[1] // signals)
    scaled = (rows.inputs - centre) / scale
    with np.errstate(invalid="ignore"):  # of one curve again and again no share of the variance can be said
        pca = PCA(max(1, min(RIDGE_COMPONENTS, len(scaled) - 1, scaled.shape[1])), svd_solver="full").fit(scaled)
    known, asked = pca.transform(scaled), pca.transform((inputs - centre) / scale)
    unit = max(float(rows.weight @ np.square(known[:, 0])), 1e-12)
    found = {}
    for name, strength in candidates:
        fitted: Any = Ridge(alpha=strength * unit)
        used = slice(None)
        if name == FOREST:
            fitted = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=1 / 3, random_state=seed, n_jobs=1)
            used = slice(FOREST_COMPONENTS)
        fitted.fit(known[:, used], rows.target, sample_weight=rows.weight)
        found[name, strength] = np.asarray(fitted.predict(asked[:, used]))
    return found


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of repeats (R,) and its 95 % interval by Student's t: (mean, low, high); NaN ends for a single repeat.

    Repeats share a dataset, and their test cells overlap: the interval is about the choice of cells, not about other data.
    """
    values = np.asarray(values, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


def paired_gain(real: Mapping[int, float], both: Mapping[int, float]) -> tuple[float, float, float]:
    """Mean over common repeats of (real - real+synthetic) and its 95 % interval: above 0, synthetic rows help.

    Arguments: MAE by repeat. Unit of the target, higher is better. Raises ValueError without a common repeat.
    """
    common = sorted(set(real) & set(both))
    if not common:
        raise ValueError("no repeat has both a real and a real+synthetic error")
    return mean_interval(np.array([real[k] - both[k] for k in common]))


@dataclass(frozen=True)
class Joined:
    """Mean MAE of one source at one share over repeats and its 95 % interval, cut off at 0; cells: mean number of kept cells."""

    share: float
    source: str
    cells: float
    value: float
    low: float
    high: float


def repeats_of(rows: Sequence[Mapping[str, Any]], share: float, source: str) -> dict[int, float]:
    """MAE by repeat of one source at one share, of the regressor that speaks for it: not the others beside it."""
    own = [r for r in rows if r["share"] == share and r["source"] == source and r["regressor"] in SPEAKS]
    return {int(r["repeat"]): float(r["value"]) for r in own}


def joined(rows: Sequence[Mapping[str, Any]]) -> list[Joined]:
    """Rows of one data set, model and target, joined over repeats: one entry a share and source, shares ascending."""
    found = []
    for share in sorted({float(r["share"]) for r in rows}):
        cells = float(np.mean([r["cells"] for r in rows if r["share"] == share]))
        for source in SOURCES:
            if values := repeats_of(rows, share, source):
                mean, low, high = mean_interval(np.array(list(values.values())))
                found.append(Joined(share, source, cells, mean, float(np.maximum(low, 0.0)), high))
    return found
