"""Where cells are cut for validation and tests, and what must be said of cells that cannot be cut there."""

from collections.abc import Mapping, Sequence

from batgen.data.sequence_split import SequenceParts
from batgen.errors import ConfigError, DataError
from batgen.forecast_notes import listed
from batgen.preprocessing.sequence_series import Series

#: A series, and the last cycle of it that is seen.
Pair = tuple[Series, int]


def usable(pairs: Sequence[Pair], targets: Sequence[str]) -> list[Pair]:
    """Those of cells whose targets are all known by the cut, and which go on after it."""
    return [(one, cut) for one, cut in pairs if one.begin(targets) <= cut < one.last_cycle]


def stopping_pairs(member: str, pairs: Sequence[Pair], targets: Sequence[str]) -> list[Pair]:
    """The usable ones of the pairs that a fold, `member`, is to be stopped on. Raises ConfigError where there is none."""
    if found := usable(pairs, targets):
        return found
    cells = len({one.cell_id for one, _ in pairs})
    raise ConfigError(
        f"{member}: none of its {cells} validation cells goes on after cycle {min(cut for _, cut in pairs)}. "
        "Use smaller trainer.last_cut, trainer.val_cuts or evaluation.cuts, or fewer trainer.folds."
    )


def tested_pairs(
    parts: SequenceParts, series: Mapping[str, Series], name: str, cuts: Sequence[int], targets: Sequence[str]
) -> list[list[Pair]]:
    """The usable pairs of a test set, one list a cut; a chronological split cuts each cell at its own validation stop."""
    cells = [series[cell] for cell in parts.cells[name]]
    if parts.stops is not None:
        asked = [[(one, parts.stops[one.cell_id][1]) for one in cells]]
    else:
        asked = [[(one, cut) for one in cells] for cut in cuts]
    return [found for pairs in asked if (found := usable(pairs, targets))]


def cut_notes(
    parts: SequenceParts, series: Mapping[str, Series], cuts: Sequence[int], targets: Sequence[str]
) -> list[str]:
    """One sentence a test set and cut that some cells have no forecast at.

    Raises DataError where no test set has a forecast at any of the cuts.
    """
    if not any(tested_pairs(parts, series, name, cuts, targets) for name in parts.tests):
        cells = [series[cell] for name in parts.tests for cell in parts.cells[name]]
        longest = max(cells, key=lambda one: one.last_cycle)
        raise DataError(
            f"evaluation.cuts=[{','.join(map(str, cuts))}]: no test cell is known by one of these cycles and goes on after "
            f"it, so there is nothing to forecast; {_extent(longest, targets)}. Use other evaluation.cuts or cycles."
        )
    found = []
    for name in parts.tests:
        for cut in cuts if parts.stops is None else []:
            cells = [series[cell] for cell in parts.cells[name]]
            there = {one.cell_id for one, _ in usable([(one, cut) for one in cells], targets)}
            if without := [_extent(one, targets) for one in cells if one.cell_id not in there]:
                found.append(f"{name} cells, first {cut} cycles given: no forecast of {listed(without)}")
    return found


def data_notes(parts: SequenceParts, lacking: Mapping[str, str]) -> list[str]:
    """What the split means, and the cells that are in no part of it. lacking: cell -> the target that it never measured."""
    found = []
    if parts.stops is not None:
        found.append(
            f"chronological split: the {len(parts.stops)} cells are on every side, each trains on its early cycles "
            "and is tested on its later ones. This says nothing of a new cell."
        )
    if parts.short:
        found.append(f"too short, left out: {listed([f'{cell} ({last})' for cell, last in parts.short.items()])}")
    for target in dict.fromkeys(lacking.values()):
        cells = [cell for cell, name in lacking.items() if name == target]
        found.append(f"{target} never measured, left out: {listed(cells)}")
    return found


def unvalidated(cells: Sequence[str]) -> list[str]:
    """A sentence on cells that stop no training, where there are any."""
    return [f"validates nothing: {listed(cells)}, not known by the validation cut, or not after it"] if cells else []


def _extent(one: Series, targets: Sequence[str]) -> str:
    return f"{one.cell_id} (cycles {one.begin(targets)} to {one.last_cycle})"
