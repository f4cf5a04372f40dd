"""Centres and scales of windows, fitted on training cells: arrays (2, columns), centre then scale."""

import numpy as np

#: A deviation below this share of the mean is no change.
_STILL = 1e-3
#: What is seen is magnified so many times at most: beyond that it is the resolution of the cycler.
_MOST = 50.0


def change_scale(got: dict[str, np.ndarray]) -> np.ndarray:
    """(2, T): mean at the cut, and standard deviation of the change since, over measured steps of raw windows.

    Every cell counts the same, however many windows and steps it has. The scale is floored, for targets that never move.
    """
    weight, cell = got["weight"], got["cell"]
    steps = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    share = weight / (steps * np.bincount(cell)[cell][:, None, None])
    change = got["target"] - got["last"][:, None]
    total = np.maximum(share.sum(axis=(0, 1)), 1e-12)
    mean = (share * change).sum(axis=(0, 1)) / total
    deviation = np.sqrt((share * (change - mean) ** 2).sum(axis=(0, 1)) / total)
    centre = got["last"].mean(axis=0)
    return np.stack([centre, np.maximum(deviation, 1e-4 * np.maximum(np.abs(centre), 1e-6))])


def past_gain(got: dict[str, np.ndarray], scale: np.ndarray) -> np.ndarray:
    """(T,): `scale` (T,) of the targets over the spread of what is seen before the cut, relative to its end; 1 at least.

    A capacity moves by 5 % in a life and by 0.2 % in the cycles observed: in units of the former an encoder sees nothing.
    """
    kinds = len(scale)
    real = np.arange(got["values"].shape[1]) < got["length"][:, None]
    seen = (got["values"][:, :, :kinds] - got["last"][:, None])[real]
    deviation: np.ndarray = np.sqrt((seen**2).mean(axis=0))
    return np.clip(scale / np.maximum(deviation, 1e-12), 1.0, _MOST)


def spread(values: np.ndarray) -> np.ndarray:
    """(2, C): mean and standard deviation of columns (n, C), NaN left out; the centre of a column of NaN is NaN.

    A column that training hardly saw change (a C-rate of 1.000 +- 0.0004) has a scale of its size, at least 1, so that
    another value at test time gives no number out of all proportion.
    """
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    centre = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    square = np.where(known, (values - centre) ** 2, 0.0).sum(axis=0)
    deviation = np.sqrt(square / np.maximum(count, 1))
    size = np.abs(np.nan_to_num(centre))
    return np.stack([centre, np.where(deviation > _STILL * np.maximum(size, 1e-9), deviation, np.maximum(size, 1.0))])
