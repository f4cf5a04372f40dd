"""The first trial of a search that begins with the values of best=FILE."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batgen.search.settings import SearchSettings
from batgen.search.space import Parameter
from batgen.search.words import short_values

if TYPE_CHECKING:
    from optuna import Study


def begin_with(
    values: Mapping[str, Any], space: Sequence[Parameter], settings: SearchSettings, study: "Study"
) -> list[str]:
    """Queue `values` as the first trial of a study that has none, and say so; what lies outside the space is left out.

    What `values` does not name is proposed by the sampler. A grid has all its points anyway.
    """
    if not values or study.get_trials(deepcopy=False):
        return []
    inside: dict[str, Any] = {}
    for p in space:  # those that others hang on come first
        if p.key in values and p.takes(values[p.key]) and p.active({**values, **inside}):
            inside[p.key] = values[p.key]
    if settings.sampler == "grid" or not inside:
        why = "a grid has its own points" if settings.sampler == "grid" else "they lie outside the space"
        return [f"  of best=FILE, {', '.join(values)} are searched anew: {why}"]
    study.enqueue_trial(inside, skip_if_exists=True)
    lines = [f"  the first trial has the values of best=FILE: {short_values(inside)}"]
    if outside := [key for key in values if key not in inside]:
        lines.append(f"  but for what is outside the space: {', '.join(outside)}")
    return lines
