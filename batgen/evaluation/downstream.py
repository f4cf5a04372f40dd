"""What synthetic curves are worth where few cells were measured: a regression learnt with and without them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from batgen.evaluation.labelled_rows import LabelledRows
from batgen.evaluation.profile_utility import cell_mean_error

#: What a regression learns from. The constant is the mean target of the measured rows; jittered copies of measured rows
#: are the control that costs nothing.
REAL, JITTERED, BOTH, SYNTHETIC, CONSTANT = SOURCES = (
    "real", "real+jittered", "real+synthetic", "synthetic", "constant",
)  # fmt: skip
#: `CHOSEN` is whichever of the two is better where whole cells are left out of the rows it learns from.
RIDGE, FOREST, CHOSEN = "ridge", "forest", "chosen"
#: Note of a row whose regressor could not be chosen, since it learns from one cell.
NO_CHOICE = "cannot choose, ridge"
#: No regressor at all; and the one of pulse runs, which is not chosen.
NONE, GAUSSIAN_PROCESS = "none", "gaussian_process"
#: The regressors whose errors stand for a source in tables, figures and gains.
SPEAKS = (CHOSEN, NONE, GAUSSIAN_PROCESS)
Candidate = tuple[str, float]
#: A repeat and its fold; runs without folds have fold 0.
Trial = tuple[int, int]
SEGMENTS, FOLDS, TREES = 24, 5, 100
#: Principal components that the ridge and the forest see; what says SOH can be a small part of how curves differ.
RIDGE_COMPONENTS, FOREST_COMPONENTS = 60, 12
#: Penalties of the ridge, in summed squares of the first component.
ALPHAS = np.logspace(-7, 0, 8)
#: The strongest ridge first.
_CANDIDATES = (*((RIDGE, float(a)) for a in ALPHAS[::-1]), (FOREST, 0.0))
#: Estimates may leave the range of the measured targets by this part of it, or of their mean where that is more.
MARGIN, LEAST_MARGIN = 0.5, 0.02


def regression_inputs(curves: np.ndarray) -> np.ndarray:
    """curves (N, S, P) -> (N, S * 24): means of each signal over 24 equal stretches (P where that is fewer), in its unit."""
    stretches = np.array_split(curves.astype(np.float64), min(SEGMENTS, curves.shape[-1]), axis=-1)
    return np.stack([s.mean(axis=-1) for s in stretches], axis=-1).reshape(len(curves), -1)


def downstream_errors(
    real: LabelledRows,
    synthetic: LabelledRows,
    test: LabelledRows,
    signals: int,
    seed: int,
    jittered: LabelledRows | None = None,
) -> list[dict[str, Any]]:
    """MAE on held-out measured rows of every source and regressor: rows {source, regressor, value, n, note}.

    Inputs as from `regression_inputs` of `signals` signals; jittered: copies as from `jittered_copies`, without which there
    is no such source. value: mean over the test cells of each cell's mean absolute error, in the unit of the target, lower
    is better; n: rows learnt from. The setting is train-on-synthetic-test-on-real (Esteban et al. 2017) and the gain from
    adding synthetic to measured rows. Nothing is chosen on test rows: the scales, the principal components, the strength of
    the ridge and the regressor come from the rows of each source, by leaving out whole cells, with the rows drawn for them;
    in real+synthetic and real+jittered the measured rows alone are scored. That choice is optimistic for synthetic rows: the
    generator was trained on the cells that are left out. Of one cell nothing can be left out: note "cannot choose, ridge",
    and the strongest ridge it is. Estimates are kept within the measured targets and half their range, for every source
    alike. Raises ValueError for shapes that do not match.
    """
    sources = {REAL: real, BOTH: real.beside(synthetic), SYNTHETIC: synthetic}
    if jittered is not None:
        sources[JITTERED] = real.beside(jittered)
    if len({rows.inputs.shape[1] for rows in (*sources.values(), test)}) > 1 or test.inputs.shape[1] % signals:
        raise ValueError(f"need inputs of one width, a multiple of {signals}, for all rows")
    low, high = _plausible(real.target)
    found = []
    for source in (s for s in SOURCES if s in sources):
        rows = sources[source]
        scores = _left_out_errors(rows, signals, seed)
        ranked = scores or {c: float(place) for place, c in enumerate(_CANDIDATES)}
        best = {name: min((k for k in ranked if k[0] == name), key=lambda k: ranked[k]) for name in (RIDGE, FOREST)}
        chosen = min(best, key=lambda name: ranked[best[name]])
        estimates = _estimates(best.values(), rows, test.inputs, signals, seed)
        error = {
            name: cell_mean_error(test.target, np.clip(estimates[candidate], low, high), test.cells)
            for name, candidate in best.items()
        }
        for name, value in {**error, CHOSEN: error[chosen]}.items():
            note = "" if scores or name != CHOSEN else NO_CHOICE
            found.append({"source": source, "regressor": name, "value": value, "n": len(rows.target), "note": note})
    constant = cell_mean_error(test.target, np.full(len(test.target), real.target.mean()), test.cells)
    return [*found, {"source": CONSTANT, "regressor": NONE, "value": constant, "n": len(real.target), "note": ""}]


def _plausible(target: np.ndarray) -> tuple[float, float]:
    """Ends (low, high) of what an estimate may be."""
    margin = max(MARGIN * float(np.ptp(target)), LEAST_MARGIN * abs(float(target.mean())))
    return float(target.min()) - margin, float(target.max()) + margin


def _left_out_errors(rows: LabelledRows, signals: int, seed: int) -> dict[Candidate, float]:
    """Mean absolute error of each candidate on the scored rows of cells left out, at most 5 times; none of one cell."""
    scored = np.flatnonzero(rows.scored)
    folds = min(FOLDS, len(np.unique(rows.cells[scored])))
    error: dict[Candidate, float] = {}
    if folds < 2:
        return error
    for _, left in GroupKFold(folds).split(scored, groups=rows.cells[scored]):
        tested = scored[left]
        kept = rows.without(rows.cells[tested])
        if len(kept.target) < 2:  # few synthetic rows, each of two cells
            continue
        for candidate, estimate in _estimates(_CANDIDATES, kept, rows.inputs[tested], signals, seed).items():
            missed = float(np.abs(estimate - rows.target[tested]).sum()) / len(scored)
            error[candidate] = error.get(candidate, 0.0) + missed
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


def mean_interval(values: np.ndarray, ratio: float = 0.0) -> tuple[float, float, float]:
    """Mean of trials (R,) and its 95 % interval by Student's t: (mean, low, high); NaN ends for a single trial.

    Half width: t(R - 1) sd sqrt(1/R + ratio). ratio 0 takes trials as independent. Trials of one dataset share cells;
    ratio = n_test/n_train, cells tested over cells learnt from, allows for it (Nadeau & Bengio 2003, and over repeated folds
    Bouckaert & Frank 2004). Either way the interval is about the choice of cells, not about other data.
    """
    values = np.asarray(values, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, count - 1) * values.std(ddof=1) * np.sqrt(1 / count + ratio))
    return mean, mean - half, mean + half


def paired_gain(
    before: Mapping[Trial, float], after: Mapping[Trial, float], ratio: float
) -> tuple[float, float, float]:
    """Mean over common trials of (before - after) and its 95 % interval: above 0, what `after` adds helps.

    Arguments: MAE by trial; ratio as in `mean_interval`. Unit of the target, higher is better. Raises ValueError without a
    common trial.
    """
    common = sorted(set(before) & set(after))
    if not common:
        raise ValueError("no repeat has both errors")
    return mean_interval(np.array([before[k] - after[k] for k in common]), ratio)


@dataclass(frozen=True)
class Joined:
    """Mean MAE of one source at one share over trials and its 95 % interval, cut off at 0, which takes trials as
    independent: only `gain` is corrected for shared cells. cells: mean number of kept cells."""

    share: float
    source: str
    cells: float
    value: float
    low: float
    high: float


def trials_of(rows: Sequence[Mapping[str, Any]], share: float, source: str) -> dict[Trial, float]:
    """MAE by (repeat, fold) of one source at one share, of the regressor that speaks for it: not the others beside it."""
    own = [r for r in rows if r["share"] == share and r["source"] == source and r["regressor"] in SPEAKS]
    return {(int(r["repeat"]), int(r.get("fold", 0))): float(r["value"]) for r in own}


def gain(
    rows: Sequence[Mapping[str, Any]], share: float, before: str = REAL, after: str = BOTH
) -> tuple[float, float, float]:
    """`paired_gain` of two sources at one share, corrected by the cells tested over those learnt from; NaN without either.

    Rows that do not say how many cells were tested count as many as were learnt from.
    """
    first, second = trials_of(rows, share, before), trials_of(rows, share, after)
    if not set(first) & set(second):
        return float("nan"), float("nan"), float("nan")
    own = [r for r in rows if r["share"] == share]
    tested, learnt = (float(np.mean(values)) for values in zip(*map(_cells, own), strict=True))
    return paired_gain(first, second, tested / learnt)


def _cells(row: Mapping[str, Any]) -> tuple[float, float]:
    return float(row.get("test_cells", row["cells"])), float(row["cells"])


def joined(rows: Sequence[Mapping[str, Any]]) -> list[Joined]:
    """Rows of one data set, model and target, joined over trials: one entry a share and source, shares ascending."""
    found = []
    for share in sorted({float(r["share"]) for r in rows}):
        cells = float(np.mean([r["cells"] for r in rows if r["share"] == share]))
        for source in SOURCES:
            if values := trials_of(rows, share, source):
                mean, low, high = mean_interval(np.array(list(values.values())))
                found.append(Joined(share, source, cells, mean, float(np.maximum(low, 0.0)), high))
    return found
