"""A handful of generated curves beside the measured ones, of a part of any family, in physical units."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.report.figures.overlay import chosen_rows
from batgen.report.figures.style import evenly
from batgen.report.labels import grid_label, with_unit, words
from batgen.report.part import Part, read_part
from batgen.report.profile_read import ProfilePart, label, read_profile_part
from batgen.report.pulse_part import PulsePart, read_pulse_part
from batgen.report.sequence_read import SequencePart, read_sequence_part

#: Test rows shown, draws of each, and points of each curve: few enough for a table that a browser shows.
ROWS, DRAWS, POINTS = 3, 3, 50


@dataclass(frozen=True)
class Example:
    """One signal ("Voltage [V]") of one test row. lines: name ("measured", "draw 1", ...) -> (x (P,), y (P,))."""

    row: str
    signal: str
    x_name: str
    lines: dict[str, tuple[np.ndarray, np.ndarray]]


def read_examples(part_dir: Path) -> list[Example]:
    """Examples of whatever the part holds; none where it holds no curves. Raises DataError for a damaged file."""
    if (part_dir / "samples.h5").is_file():
        return list(_curves(read_part(part_dir)))
    if (part_dir / "profiles.h5").is_file():
        return list(_profiles(read_profile_part(part_dir)))
    if (part_dir / "pulses.h5").is_file():
        return list(_pulses(read_pulse_part(part_dir)))
    if (part_dir / "forecasts.csv.gz").is_file():
        return list(_forecasts(read_sequence_part(part_dir)))
    return []


def examples_table(examples: list[Example]) -> pd.DataFrame:
    """One row a point: row, signal, line, x_name, x, y."""
    found = [
        pd.DataFrame({"row": e.row, "signal": e.signal, "line": name, "x_name": e.x_name, "x": x, "y": y})
        for e in examples
        for name, (x, y) in e.lines.items()
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The known points, thinned."""
    known = np.isfinite(x) & np.isfinite(y)
    some = evenly(POINTS, np.flatnonzero(known))
    return x[some].astype(float), y[some].astype(float)


def _curves(part: Part) -> Iterator[Example]:
    place = {int(row): index for index, row in enumerate(part.generated_index)}
    for row in map(int, chosen_rows(part, ROWS) if len(part.real) else []):
        for name, (index, unit) in part.signals().items():
            lines = {"measured": _line(part.grid, part.real[row, index])}
            if part.generated is not None and row in place:
                draws = part.generated[place[row], :DRAWS, index]
                lines |= {f"draw {k}": _line(part.grid, draw) for k, draw in enumerate(draws, 1)}
            elif part.conditional_mean is not None:
                lines["mean"] = _line(part.grid, part.conditional_mean[row, index])
            yield Example(part.label(row), with_unit(words(name), unit), grid_label(part.grid_name), lines)


def _profiles(part: ProfilePart) -> Iterator[Example]:
    own = part.own()
    if own is None:
        return
    kept = own.kept if own.draws is not None else np.arange(len(part.rows))
    for place in evenly(ROWS, np.arange(len(kept))):
        row = int(kept[place])
        about = part.rows.iloc[row]
        for name in part.signals:
            index = part.index(name)
            mask = part.measured.mask[row]
            lines = {"measured": _line(part.measured.time_s[row][mask], part.measured.curves[row, index][mask])}
            drawn = own.draws
            if drawn is None:
                mask = own.mean.mask[row]
                lines["mean"] = _line(own.mean.time_s[row][mask], own.mean.curves[row, index][mask])
            else:
                for k in range(min(DRAWS, drawn.curves.shape[1])):
                    mask = drawn.mask[place, k]
                    lines[f"draw {k + 1}"] = _line(drawn.time_s[place, k][mask], drawn.curves[place, k, index][mask])
            yield Example(f"{about['cell_id']}, cycle {about['ecl']:g}", label(name), "Time [s]", lines)


def _pulses(part: PulsePart) -> Iterator[Example]:
    x = np.arange(1, len(part.names) + 1, dtype=float)
    for one in part.generated[:ROWS]:  # a row of each case and battery before a second of any
        for row in evenly(max(1, ROWS // len(part.generated)), np.arange(len(one.measured))):
            lines = {"measured": _line(x, one.measured[row])}
            lines |= {f"draw {k}": _line(x, draw) for k, draw in enumerate(one.generated[:DRAWS, row], 1)}
            about = f"{one.cell_id[row]}, case {one.case}, SOC {one.soc[row]:.2f}, SOH {one.soh[row]:.2f}"
            yield Example(about, "Voltage [V]", "Number of the pulse voltage", lines)


def _forecasts(part: SequencePart) -> Iterator[Example]:
    scenes = part.scenes()
    if not scenes:
        return
    scene, target = scenes[0], part.targets()[0]
    shown = part.shown(scene, target, part.own_method(scene, target))
    cells = shown["cell_id"].astype(str)
    for cell in evenly(ROWS, np.array(sorted(cells.unique()), dtype=object)):
        own = shown[cells == cell]
        x = own["cycle"].to_numpy(dtype=float)
        names = {"truth": "measured", "low": part.band().split("–")[0] + " %", "median": "median"}
        names |= {"high": part.band().split("–")[-1]}
        lines = {names[k]: _line(x, own[k].to_numpy(dtype=float)) for k in names if own[k].notna().any()}
        yield Example(f"{cell}, {scene.words()}", part.label(target), "Cycle", lines)
