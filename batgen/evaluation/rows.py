"""metrics.json rows: which metric has which unit and direction, said once."""

import re
from collections.abc import Mapping
from typing import Any

from batgen.evaluation.reconstruction import TOTAL

#: metric -> (unit, direction). `None` stands for the signal's own unit; "one" means that 1 is best.
METRICS: dict[str, tuple[str | None, str]] = {
    "MAE": (None, "lower"),
    "RMSE": (None, "lower"),
    "R2": ("1", "higher"),
    "CRPS": (None, "lower"),
    "variance_ratio": ("1", "one"),
    "active_units": ("units", ""),
    "kl_nats": ("nat", ""),
    "MAE_posterior": (None, ""),
    "MAE_prior": (None, ""),
    "MAE_permuted": (None, ""),
    "MAPE": ("%", "lower"),
    "APE_std": ("%", "lower"),
    "coverage_90": ("1", ""),
    "interval_width_90": ("1", "lower"),
    "voltage_MAE": ("mV", "lower"),
    "medAE": (None, "lower"),
    "clamp_RMSE": (None, "lower"),
    "EOL_error_median": ("cycles", "lower"),
    "EOL_error_mean": ("cycles", "lower"),
    "EOL_never_reached": ("1", "lower"),
    "EOL_coverage": ("1", ""),
    "range_ratio": ("1", "one"),
    "between_cell_ratio": ("1", "one"),
    "coverage_80": ("1", ""),
    "miscalibration_area": ("1", "lower"),
    "miscalibration_area_normal": ("1", "lower"),
    "sharpness": (None, "lower"),
    "crossing_rate": ("1", "lower"),
    "energy_distance": ("1", "lower"),
    "energy_score": ("1", "lower"),
    "C2ST": ("1", "lower"),
    "nearest_pair_ratio": ("1", "one"),
    "marginal_distance": (None, "lower"),
    "spectral_distance": ("dB", "lower"),
    "flat_share": ("1", "lower"),
    "repeat_share": ("1", "lower"),
    "out_of_range_share": ("1", "lower"),
    "pass_rate": ("1", "higher"),
    "TSTR_MAE": (None, "lower"),
    "permuted_ratio": ("1", "higher"),
    "MMD": ("1", "lower"),
    "sliced_wasserstein": ("1", "lower"),
    "precision": ("1", "higher"),
    "recall": ("1", "higher"),
    "density": ("1", "one"),
    "coverage": ("1", "higher"),
    "between_condition_ratio": ("1", "one"),
    "condition_error": (None, "lower"),
    "train_distance_ratio": ("1", "one"),
    "copy_share": ("1", "lower"),
    "membership_AUC": ("1", "half"),
    "indicator_MAE": (None, "lower"),
    "indicator_distance": (None, "lower"),
    "augmented_MAE": (None, "lower"),
}

#: Names that do not end in their unit, and their unit. A whole curve is measured in scales of its signals.
_UNITS = {
    **dict.fromkeys(
        (
            "SOH",
            "soh",
            "soc",
            "q1",
            "soh_change",
            "coulombic_efficiency",
            "profile",
            "curve",
            "cc_time_share",
            "cv_time_share",
        ),
        "1",
    ),
    **dict.fromkeys(("ecl", "eol", "rul", "cycle_life"), "cycles"),
    **dict.fromkeys(("c1", "c2", "c_rate", "c_rate_rms"), "C"),
}
_PULSE_VOLTAGE = re.compile(r"U\d+")


def unit_of(signal: str) -> str:
    """The unit at the end of a signal's name ("voltage_V" -> "V"); "mixed" for the Total.

    The names of the pulse table have none: its SOH is a fraction ("1"), its U1, U2, ... are in "V". Nor has a
    coulombic efficiency, which is a fraction; nor have a soh, a whole profile (its distances are in scales of its
    signals), shares of time and several conditions joined by "+"; ages are in cycles, rates in C.
    """
    if signal == TOTAL:
        return "mixed"
    if "+" in signal:
        return "1"
    if signal in _UNITS:
        return _UNITS[signal]
    return "V" if _PULSE_VOLTAGE.fullmatch(signal) else signal.rpartition("_")[2]


def metric_rows(
    metric: str,
    values: Mapping[str, float],
    context: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> list[dict[str, Any]]:
    """One row per signal of `values` (name -> number), with unit, direction and, where given, the bootstrap interval.

    `context` gives the other columns: protocol, seed, split, model, role, mode, n, K (draws a condition), note. The
    Total of a single signal has that signal's unit. Latent diagnostics have the signal "latent" and the mode "latent".
    Raises KeyError for a metric that is not in METRICS.
    """
    unit, direction = METRICS[metric]
    signals = [name for name in values if name != TOTAL]
    alone = signals[0] if len(signals) == 1 else TOTAL
    rows = []
    for signal, value in values.items():
        low, high = (intervals or {}).get(signal, (None, None))
        own = unit_of(alone if signal == TOTAL else signal)
        rows.append(
            {
                **context,
                "signal": signal,
                "metric": metric,
                "value": float(value),
                "low": low,
                "high": high,
                "unit": own if unit is None else unit,
                "direction": direction,
            }
        )
    return rows
