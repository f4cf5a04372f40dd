"""How records were run, as labels: records of one protocol are those that can be compared."""

import numpy as np

#: Ambients this far apart (degC), and rates this far apart (C), are different ones.
AMBIENT_STEP_DEGC = 2.0
RATE_STEP_C = 0.1


def protocols(
    ambient_degC: np.ndarray, c_rate: np.ndarray, c_rate_rms: np.ndarray, policy: np.ndarray | None = None
) -> np.ndarray:
    """Labels (N,) such as "24 degC, 1.0 C (rms 1.4 C)", from the facts of whole records, all (N,).

    Values belong together where no gap of a step or more lies between them: rates of a charge drift with age (its constant
    voltage grows longer), and rounding alone would cut one protocol in two. Where `policy` takes several values, it says how
    a record was run, in the place of rates: "30 degC, 4C(80%)-4C".
    """
    labels = np.empty(len(c_rate), dtype=object)
    if policy is not None and len(np.unique(policy)) > 1:
        for name in np.unique(policy):
            for warm in _groups(np.flatnonzero(policy == name), ambient_degC, AMBIENT_STEP_DEGC):
                labels[warm] = f"{_ambient(ambient_degC[warm])}, {name}"
        return labels.astype(str)
    for warm in _groups(np.arange(len(c_rate)), ambient_degC, AMBIENT_STEP_DEGC):
        for mean in _groups(warm, c_rate, RATE_STEP_C):
            for rows in _groups(mean, c_rate_rms, RATE_STEP_C):
                load = _load(float(np.median(c_rate[mean])), float(np.median(c_rate_rms[rows])))
                labels[rows] = f"{_ambient(ambient_degC[warm])}, {load}"
    return labels.astype(str)


def _groups(rows: np.ndarray, values: np.ndarray, step: float) -> list[np.ndarray]:
    """`rows` in groups between which `values` leave a gap of at least `step`; unknown values are one group."""
    order = rows[np.argsort(values[rows], kind="stable")]  # NaN last
    ordered = values[order]
    gaps = np.diff(ordered) >= step - 1e-9
    unknown = np.isnan(ordered[1:]) & ~np.isnan(ordered[:-1])
    return np.split(order, np.flatnonzero(gaps | unknown) + 1)


def _ambient(values_degC: np.ndarray) -> str:
    return "unknown ambient" if np.isnan(values_degC).any() else f"{np.median(values_degC):.0f} degC"


def _load(mean_C: float, rms_C: float) -> str:
    return f"{mean_C:.1f} C" + (f" (rms {rms_C:.1f} C)" if abs(rms_C - mean_C) >= RATE_STEP_C / 2 else "")
