"""Whether a generator repeats its training curves: nearer to them than unseen curves are, copies, members recognised.

All functions take distances between curves as vectors (see `FeatureMap`), Euclidean. Three metrics, since each kind of
memorising escapes the others: curves drawn for new conditions that repeat training curves (`train_distance_ratio` in
the bulk, `copy_share` a few of them), and curves that are right at training conditions alone (`membership_auc`).
"""

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

#: A copy is closer to a training curve than this share of the distance from there to the next training curve.
COPY = 0.1
#: Distances below this, in scales of the signals, are rounding of float32.
_ROUNDING = 1e-5
_CHUNK_ROWS = 1024


def nearest(
    queries: np.ndarray, references: np.ndarray, apart: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) of each of `queries` (N, D) to the nearest of `references` (M, D), and its row number (N,).

    `apart`: labels (N,) and (M,); pairs with the same one do not count, nor do references that are not finite. Infinite,
    with row 0, for a query that is not finite or has nothing left.
    """
    usable = np.isfinite(references).all(axis=1)
    if not usable.any():
        return np.full(len(queries), np.inf), np.zeros(len(queries), dtype=np.int64)
    centre = references[usable].mean(axis=0)
    others = np.where(usable[:, None], references - centre, 0.0)
    finite = np.isfinite(queries).all(axis=1)
    distance, place = np.full(len(queries), np.inf), np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _CHUNK_ROWS):
        part = np.arange(start, min(start + _CHUNK_ROWS, len(queries)))
        part = part[finite[part]]
        if not len(part):
            continue
        gap = euclidean_distances(queries[part] - centre, others)
        gap[:, ~usable] = np.inf
        if apart is not None:
            gap[apart[0][part][:, None] == apart[1][None, :]] = np.inf
        place[part] = gap.argmin(axis=1)
        distance[part] = gap[np.arange(len(part)), place[part]]
    return distance, place


def train_distance_ratio(
    to_train: np.ndarray, to_held_out: np.ndarray, real_to_train: np.ndarray, real_to_held_out: np.ndarray
) -> float:
    """[median(to_train) / median(to_held_out)] / [median(real_to_train) / median(real_to_held_out)]; no unit, 1 is best.

    to_train, to_held_out (M,): distance of each generated curve to the nearest training curve and to the nearest
    held-out curve of another cell than it was drawn for. real_to_train, real_to_held_out (N,): the same of each held-out
    measured curve. Near 0 the generator copies. The training set has more curves, and those of one cell are alike, so
    that the first ratio alone is below 1 for an honest generator as well; the second one is what a curve from the true
    law scores against the very same sets. The two are alike in condition, for generated curves are drawn for the
    conditions of the held-out ones. A mean curve is nearer to everything, so its first ratio, unlike its distance to
    training curves alone, hardly moves: it is no copy. Above 1, generated curves keep off the training ones more than
    measured curves do, as where a split trains on cycles of the tested cell itself. Draws for training conditions do
    not enter: a model that has learnt its training cells by heart but is honest elsewhere is `membership_auc`'s.
    Source: ours, from the data-copying test of Meehan et al. 2020 and the DCR share of tabular generators. NaN where a
    set is empty or a median 0 stands below.
    """
    medians = [_median(x) for x in (to_train, to_held_out, real_to_train, real_to_held_out)]
    bottom = medians[1] * medians[2]
    return medians[0] * medians[3] / bottom if bottom > 0 else float("nan")


def _median(distance: np.ndarray) -> float:
    known = distance[np.isfinite(distance)]
    return float(np.median(known)) if len(known) else float("nan")


def ratio_interval(
    distances: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    cells_generated: np.ndarray,
    cells_real: np.ndarray,
    seed: int,
    n: int = 1000,
) -> tuple[float, float]:
    """95 % percentile interval of `train_distance_ratio`, resampling cells `n` times; (NaN, NaN) with fewer than two.

    The sets of training and held-out curves that distances are to stay whole: on exact generators it holds 1 in 90-97 %
    of the cases from 4 held-out cells on, in half of them with 2.
    """
    copies = resampled(cells_generated, cells_real, seed, n)
    if copies is None:
        return float("nan"), float("nan")
    values = []
    for made, real in zip(*copies, strict=True):
        four = [np.repeat(x, w) for x, w in zip(distances, (made, made, real, real), strict=True)]
        values.append(train_distance_ratio(four[0], four[1], four[2], four[3]))
    return _percentiles(np.array(values))


def is_copy(distance: np.ndarray, place: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Whether each curve copies the training curve nearest to it: (M,) of 0 and 1, whose mean is the copy share; 0 is best.

    distance (M,), place (M,): from `nearest` among the training curves; usual (T,): distance of each training curve to
    the next other one. A copy is closer than COPY x usual, that of its own training curve, so that dense and sparse
    parts of the training set are judged alike. Exact copies always count, of training curves that occur twice too. Read
    it beside the share among held-out measured curves: where curves lie on a line or a plane (pulses, which are told
    by state of charge and health) a true curve comes that close by chance. Source: ours, as `repeat_share`.
    """
    return (distance <= np.maximum(COPY * usual[place], _ROUNDING)).astype(np.float64)


def own_distance(rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Distance of each measured curve (N, D) to the nearest of the draws (K, N, D) at its own condition: (N,)."""
    distance = np.linalg.norm(np.asarray(draws, dtype=np.float64) - rows, axis=-1)
    found: np.ndarray = np.where(np.isfinite(distance), distance, np.inf).min(axis=0)
    return found


def membership_auc(train: np.ndarray, held_out: np.ndarray) -> float:
    """ROC AUC of telling training rows from held-out rows by being nearer to what is generated; no unit, 0.5 is best.

    train (T,), held_out (N,): distances of measured curves to generated ones, the same number of draws for each side. AUC
    = P(d_train < d_held_out) + P(equal) / 2: 1 where every training row is nearer, the generator then says who was in
    its training set. Source: the membership attack GAN-Leaks, Chen et al. 2020 (distance to the nearest draw), at the
    row's own condition where draws for training conditions are there. Held-out conditions can be harder by themselves
    (an extrapolation split): read it beside its floor. NaN where a side is empty.
    """
    if not (len(train) and len(held_out)):
        return float("nan")
    wins = _wins(train, held_out, np.zeros(len(train), int), np.zeros(len(held_out), int))
    return float(wins[0, 0] / (len(train) * len(held_out)))


def membership_interval(
    train: np.ndarray,
    held_out: np.ndarray,
    cells_train: np.ndarray,
    cells_held_out: np.ndarray,
    seed: int,
    n: int = 1000,
) -> tuple[float, float]:
    """95 % percentile interval of `membership_auc`, resampling cells of both sides `n` times; (NaN, NaN) with fewer than
    two on a side."""
    names_train, index_train = np.unique(cells_train, return_inverse=True)
    names_held, index_held = np.unique(cells_held_out, return_inverse=True)
    copies = resampled(names_train, names_held, seed, n)
    if copies is None:
        return float("nan"), float("nan")
    wins = _wins(train, held_out, index_train, index_held)
    top = ((copies[0] @ wins) * copies[1]).sum(axis=1)
    bottom = (copies[0] @ np.bincount(index_train)) * (copies[1] @ np.bincount(index_held))
    return _percentiles(np.divide(top, bottom, out=np.full(n, np.nan), where=bottom > 0))


def _wins(train: np.ndarray, held_out: np.ndarray, index_train: np.ndarray, index_held: np.ndarray) -> np.ndarray:
    """Pairs (cells of train, cells of held_out) in which the training row is nearer, equal pairs as halves."""
    wins = np.zeros((index_train.max() + 1, index_held.max() + 1))
    for cell in range(wins.shape[1]):
        ordered = np.sort(held_out[index_held == cell])
        above = len(ordered) - np.searchsorted(ordered, train, side="right")
        upto = len(ordered) - np.searchsorted(ordered, train, side="left")
        wins[:, cell] = np.bincount(index_train, weights=(above + upto) / 2, minlength=len(wins))
    return wins


def resampled(first: np.ndarray, second: np.ndarray, seed: int, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """How often each row of two sets with the cells `first` (M,) and `second` (N,) is in each of `n` resamples of cells.

    Integers (n, M) and (n, N). Cells that both sets have are drawn once for both; sets without a common cell are drawn
    each by itself. None with fewer than two cells in a set.
    """
    names = [np.unique(first), np.unique(second)]
    if min(len(names[0]), len(names[1])) < 2:
        return None
    rng = np.random.default_rng(seed)

    def draw(cells: np.ndarray) -> np.ndarray:
        return rng.multinomial(len(cells), np.full(len(cells), 1.0 / len(cells)), size=n)

    every = np.union1d(names[0], names[1])
    if len(np.intersect1d(names[0], names[1])):
        copies = draw(every)
        return copies[:, np.searchsorted(every, first)], copies[:, np.searchsorted(every, second)]
    return draw(names[0])[:, np.searchsorted(names[0], first)], draw(names[1])[:, np.searchsorted(names[1], second)]


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
