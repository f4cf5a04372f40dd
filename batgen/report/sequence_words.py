"""What a table of forecasts says, in words: where a baseline is better, and whether forecasts are flat or all alike."""

import math
from collections.abc import Sequence
from typing import Protocol

from batgen.report.labels import number
from batgen.report.sequence_read import CONFORMAL, MODEL
from batgen.report.summary import Value

#: Errors on which a model has to beat every baseline.
_ERRORS = ("RMSE", "MAE", "clamp_RMSE", "EOL_error_median")
#: Below this share of the measured range a forecast counts as flat.
_FLAT = 0.5


class Entry(Protocol):
    """A line of a table: method, role, and its values in the order of the columns."""

    name: str
    role: str
    values: list[Value]


def verdicts(lines: Sequence[Entry], columns: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Sentences on the model's line against the best baseline in each error; columns are (metric, head, unit, direction).

    A lead smaller than the spread over seeds is told apart from a win; nothing is said of a clear win.
    """
    own = {line.name: line for line in lines if line.role == "model"}
    model = own.get(MODEL) or own.get(CONFORMAL)
    if model is None:
        return []
    lost, close = [], []
    ratios = {}
    for place, (metric, head, unit, _) in enumerate(columns):
        mine = model.values[place]
        if metric in ("range_ratio", "between_cell_ratio"):
            ratios[metric] = mine.mean
        if metric not in _ERRORS or math.isnan(mine.mean):
            continue
        rivals = [line for line in lines if line.role == "baseline" and not math.isnan(line.values[place].mean)]
        if not rivals:
            continue
        best = min(rivals, key=lambda line: line.values[place].mean)
        theirs = best.values[place].mean
        text = f"{head} ({number(mine.mean)} against {number(theirs)}{f' {unit}' if unit else ''}, {best.name})"
        if mine.mean >= theirs:
            lost.append(text)
        elif mine.mean + mine.spread > theirs:
            close.append(text)
    found = [f"The model loses to a baseline in {'; '.join(lost)}."] if lost else []
    found += [f"Its lead is smaller than the spread of its seeds in {'; '.join(close)}."] if close else []
    if ratios.get("range_ratio", 1.0) < _FLAT:
        found.append(f"Forecasts are flat: their range is {number(ratios['range_ratio'], 2)} of the measured one.")
    if ratios.get("between_cell_ratio", 1.0) < _FLAT:
        share = number(ratios["between_cell_ratio"], 2)
        found.append(f"Forecasts of different cells are nearly alike: they spread {share} of what the cells do.")
    return found
