"""One sentence a metric and family: what it is, and which way is good."""

from collections.abc import Mapping
from typing import Final

from batgen.report.labels import pretty_unit, words

FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "conditional": ("Conditional", "Does it say what belongs to the condition it was asked for?"),
    "fidelity": ("Fidelity", "Do generated curves look like measured ones, one by one and as a set?"),
    "calibration": ("Calibration", "Are its draws spread out as measured curves are?"),
    "diversity": ("Diversity", "Do its curves differ as measured ones do, within a condition and between them?"),
    "memorisation": ("Memorisation", "Does it repeat its training curves?"),
    "physics": (
        "Physics",
        "Share of generated curves that pass each check; the floor is the share of measured curves.",
    ),
    "indicators": (
        "Battery indicators",
        "What is read off a generated curve against what is read off the measured one.",
    ),
    "utility": ("Utility", "What a regression learns from generated curves."),
    "rare": ("Rare conditions", "The same scores at the 5 % of test conditions furthest from the training conditions."),
}

METRICS: Final[Mapping[str, str]] = {
    "CRPS": "Distance of the draws from the measured value, less half of their own scatter: low when draws are close and no "
    "wider than they must be. Lower is better.",
    "energy_score": "CRPS of the whole curve as one vector, in scales of its signals. Lower is better.",
    "condition_error": "Error of a condition that is read back from the generated curve by a regression. Lower is better.",
    "MAE": "Mean absolute error of the mean of the draws. Lower is better.",
    "RMSE": "Root mean squared error of the mean of the draws; large errors weigh more. Lower is better.",
    "R2": "Share of the variance of measured values that the mean of the draws explains. Higher is better, 1 at most.",
    "marginal_distance": "Wasserstein distance of the values of a signal, whatever curve they belong to. Lower is better.",
    "spectral_distance": "Difference of the mean power spectra: too smooth or too noisy curves. Lower is better.",
    "energy_distance": "Distance between the two sets of whole curves, near 0 for one law. Lower is better.",
    "MMD": "Maximum mean discrepancy of whole curves with a Gaussian kernel, near 0 for one law. Lower is better.",
    "sliced_wasserstein": "Transport distance of whole curves along random directions; read it beside its floor. "
    "Lower is better.",
    "C2ST": "Accuracy of a classifier that tells generated from measured curves. 0.5 is chance and the best there is; "
    "1 is told apart at sight.",
    "coverage_80": "Share of measured values inside the central 80 % of the draws. Best is 0.8.",
    "coverage_90": "Share of measured values inside the central 90 % of the draws. Best is 0.9.",
    "miscalibration_area": "Area between the calibration curve and the diagonal. Lower is better.",
    "sharpness": "Width of the draws; among calibrated generators, lower is better.",
    "precision": "Share of generated curves that lie where measured ones do. Higher is better.",
    "recall": "Share of measured curves that the generated ones reach. Higher is better.",
    "density": "How crowded generated curves are around measured ones. 1 is best.",
    "coverage": "Share of measured curves with a generated one near. Higher is better.",
    "variance_ratio": "Spread of the draws against their error: 1 is best, 0 a collapse to one curve per condition.",
    "between_condition_ratio": "How far the mean of the draws moves between conditions against measured curves: 1 is best, "
    "0 is one curve for all.",
    "train_distance_ratio": "Distance of generated curves to the nearest training curve against that of held-out measured "
    "ones. 1 is best; far below 1 repeats training curves.",
    "copy_share": "Share of generated curves that are a training curve within a tenth of its distance to the next. "
    "Lower is better.",
    "membership_AUC": "How well its errors tell training curves from held-out ones. 0.5 is best: it knows no training curve "
    "by heart.",
    "pass_rate": "Share of generated curves that pass the check, with the tolerance that measured curves need. Higher is "
    "better, the floor is what measured curves reach.",
    "indicator_MAE": "Mean absolute error of the indicator at the same condition. Lower is better.",
    "indicator_distance": "Wasserstein distance of the indicator's values over all conditions. Lower is better.",
    "TSTR_MAE": "Error on measured curves of a regression trained on generated ones. Lower is better; the floor is trained "
    "on measured ones.",
    "augmented_MAE": "The same, trained on measured and generated curves together: it helps where it is below its floor.",
    "nearest_pair_ratio": "Distance of a draw to its nearest neighbour against measured curves. 1 is best, 0 is copies.",
}

ARROW_WORDS: Final[Mapping[str, str]] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "one": "1 is best",
    "half": "0.5 is best",
}


def metric_name(metric: str) -> str:
    """ "energy score" for energy_score; abbreviations stay as they are."""
    return metric.replace("_", " ")


def signal_name(signal: str) -> str:
    """The word for a signal, a condition, an indicator or a check; "whole curve" for all signals together."""
    return "whole curve" if signal == "curve" else words(signal)


def unit_name(unit: str) -> str:
    """The unit as people write it, nothing for pure numbers."""
    return "" if unit in {"1", ""} else pretty_unit(unit)
