"""The end of life of each cell as forecast from more and more of its cycles, and when its test could have stopped."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from batgen.data.sources.percycle_csv import CAPACITY
from batgen.errors import ConfigError
from batgen.forecast_files import eol_table
from batgen.forecast_notes import listed, what_to_mind
from batgen.forecast_run import Forecaster, clip, last_observed, physical, read_cells
from batgen.forecast_table import UserTable
from batgen.preprocessing.sequence_series import Series

#: So many forecasts in a row have to agree before a test may stop.
SUCCESSIVE = 3
#: Neighbouring cuts that are forecast together.
_AT_ONCE = 20


@dataclass(frozen=True)
class Advice:
    """When the test of a cell could have stopped (an observed cycle, None: not yet), and why, in words."""

    cell_id: str
    stop: int | None
    text: str


def follow(forecaster: Forecaster, table: UserTable, every: int, calibrated: bool) -> tuple[pd.DataFrame, list[str]]:
    """The columns of `eol_table` of every cell at its cuts, and width, revision, learnt.

    Cuts go from the first that training saw, every `every` cycles where something was measured, to the last observed
    cycle or the end of life. width: (eol_high - eol_low) / eol_median; revision: change of the median since the forecast
    before, relative to that; NaN where one of them is not reached. learnt: training cut its cells there, too.
    Nothing after a cut goes into its forecast but the schedule (columns discharge_c_rate, ambient_degC) of a run that knows
    one ahead. With it, what to mind, in words. Raises ConfigError for a run without discharge capacity.
    """
    targets = forecaster.preprocessing.target_names
    if CAPACITY not in targets:
        raise ConfigError(
            f"follow=true: this run forecasts {', '.join(targets)}, but the end of life is of {CAPACITY}."
        )
    tables, used, last_cuts = [], [], []
    learnt = forecaster.cuts[1]
    for one in read_cells(forecaster, table):
        cuts = _cuts(one, forecaster, every)
        if not cuts:
            continue
        parts = [cuts[start : start + _AT_ONCE] for start in range(0, len(cuts), _AT_ONCE)]
        rows = pd.concat([_ends(forecaster, table, one, part, calibrated) for part in parts], ignore_index=True)
        rows["width"] = (rows["eol_high"] - rows["eol_low"]) / rows["eol_median"]
        rows["revision"] = rows["eol_median"].diff() / rows["eol_median"].shift()
        rows["learnt"] = rows["observed"] <= learnt
        tables.append(rows)
        used.append(one)
        last_cuts.append(max((cut for cut in cuts if cut <= learnt), default=cuts[-1]))
    if not tables:
        longest = max(info.last_cycle for info in table.infos)
        raise ConfigError(
            f"follow=true: forecasts start at cycle {forecaster.cuts[0]}, as in training, and the longest cell has {longest}."
        )
    notes = [*table.notes, *what_to_mind(forecaster, table, used, last_cuts)]
    there = {one.cell_id for one in used}
    if short := [info.cell_id for info in table.infos if info.cell_id not in there]:
        notes.append(f"{listed(short)}: not observed to cycle {forecaster.cuts[0]} yet, where forecasts start")
    rows = pd.concat(tables, ignore_index=True)
    if not (calibrated and CAPACITY in forecaster.calibration):
        notes.append("intervals are as the model gives them, not calibrated: that they are narrow says little")
    if not rows["learnt"].all():
        notes.append(
            f"training saw no cell observed beyond cycle {learnt}: forecasts from more do not count for advice (a run with a "
            "later trainer.last_cut has more that do)"
        )
    return rows, notes


def _ends(forecaster: Forecaster, table: UserTable, one: Series, cuts: list[int], calibrated: bool) -> pd.DataFrame:
    """The `eol_table` of one cell at some cuts."""
    made = physical(forecaster, table, [one] * len(cuts), cuts, max(cuts) + forecaster.reach)
    made = [clip(f, f.cut_cycle + forecaster.reach) for f in made if f.target == CAPACITY]
    return eol_table([forecaster.calibrated(f)[0] if calibrated else f for f in made])


def _cuts(one: Series, forecaster: Forecaster, every: int) -> list[int]:
    """Observed cycles to forecast from: the last with a capacity at or before each point of a grid, and the very last."""
    last = last_observed(one, [CAPACITY])
    if np.isfinite(one.info.eol_cycle):
        last = min(last, int(one.info.eol_cycle))
    known = np.flatnonzero(np.isfinite(one.columns[CAPACITY][:last])) + 1
    first = forecaster.cuts[0]
    if not known.size or known[-1] < first:
        return []
    grid = np.arange(first, last + 1, every)
    at = np.searchsorted(known, grid, side="right") - 1
    chosen = {int(known[k]) for k in at if k >= 0} | {int(known[-1])}
    return sorted(cut for cut in chosen if cut >= first)


def advise(rows: pd.DataFrame, ran_to: int, tolerance: float) -> Advice:
    """When the test of one cell could have stopped. rows: of `follow`; ran_to: its last observed cycle.

    At the last of `SUCCESSIVE` forecasts in a row whose interval is at most `tolerance` of the median wide and whose
    median moved by at most half of that; what came after is told, but was not known. Only cuts that training saw count.
    """
    cell = str(rows["cell_id"].iloc[0])
    usable = rows[rows["learnt"] & ~(rows["observed"] >= rows["eol_measured"])].reset_index(drop=True)
    narrow = usable["width"] <= tolerance
    steady = usable["revision"].abs() <= tolerance / 2
    in_a_row = (narrow & steady).astype(int).rolling(SUCCESSIVE).sum()
    reached = np.flatnonzero(in_a_row.to_numpy() == SUCCESSIVE)
    if not reached.size:
        ended = float(rows["eol_measured"].iloc[-1])
        what = f"ran to its end of life at cycle {ended:.0f}" if ran_to >= ended else "go on"
        return Advice(cell, None, f"cell {cell}: {what}. {_why_not(usable, rows, tolerance)}")
    at = usable.iloc[reached[0]]
    stop = int(at["observed"])
    saved = f", which would have saved {ran_to - stop} of its {ran_to} cycles" if ran_to > stop else ""
    text = (
        f"cell {cell}: the test {'could have stopped' if saved else 'can stop'} at cycle {stop}{saved}. Its end of life "
        f"was then forecast at {at['eol_median']:.0f} [{at['eol_low']:.0f} - {at['eol_high']:.0f}], {SUCCESSIVE} times in a "
        f"row within {tolerance:.0%} and moving by less than {tolerance / 2:.0%}."
    )
    later = usable.iloc[reached[0] + 1 :]
    if len(later):
        moved = (later["eol_median"] / at["eol_median"] - 1).abs().max()
        text += f" Later forecasts were up to {moved:.0%} from that."
        if not (narrow & steady).iloc[reached[0] + 1 :].all():
            text += " They left this range again, so that stopping there would have been early."
    if np.isfinite(at["eol_measured"]):
        missed = "" if at["eol_low"] <= at["eol_measured"] <= at["eol_high"] else ", outside that interval"
        text += f" Measured: {at['eol_measured']:.0f}{missed}."
    return Advice(cell, stop, text)


def verdict(rows: pd.DataFrame, advices: Sequence[Advice]) -> str:
    """How often an interval at which a test could have stopped holds the measured end; "" where none is measured."""
    held = []
    for advice in advices:
        at = rows[(rows["cell_id"] == advice.cell_id) & (rows["observed"] == (advice.stop or -1))]
        if len(at) and np.isfinite(at["eol_measured"].iloc[0]):
            held.append(bool(at["eol_measured"].between(at["eol_low"], at["eol_high"]).iloc[0]))
    if not held:
        return ""
    return f"Of {len(held)} tests that could have stopped and went on to their end of life, the interval held it in {sum(held)}."


def _why_not(usable: pd.DataFrame, rows: pd.DataFrame, tolerance: float) -> str:
    """What a cell's last usable forecast lacks."""
    if usable.empty:
        return f"All forecasts are from cycle {rows['observed'].iloc[0]} on, where the model has not learnt to forecast from."
    last = usable.iloc[-1]
    where = f"At cycle {last['observed']}"
    if len(usable) <= SUCCESSIVE:
        return f"{where} there are {len(usable)} forecasts, too few to see how they move."
    if not np.isfinite(last["width"]):
        return f"{where} the forecast does not reach the end of life at every level."
    if last["width"] > tolerance:
        return f"{where} the interval is still {last['width']:.0%} of the end of life wide, wanted are {tolerance:.0%}."
    return f"{where} the interval is narrow enough, but not {SUCCESSIVE} times in a row with a median that stays."
