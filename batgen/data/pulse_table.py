"""The table of pulse tests: what every source of them yields, one row a test, and what every row must satisfy.

Columns, in this order: `battery` (the type, such as NMC_2.1Ah), `chemistry`, `cell_id` (the physical cell), `stage_id`
(its ageing stage; the cell itself where there are none), `soc` and `soh` (fractions), `nominal_capacity_Ah`,
`pulse_width_s`, `test_set` ("grid", or "random_soc" for tests at SOCs off the grid), then `U1`..`Un` (V).
"""

import re
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from batgen.errors import DataError

TEXT = ("battery", "chemistry", "cell_id", "stage_id", "test_set")
NUMBERS = ("soc", "soh", "nominal_capacity_Ah", "pulse_width_s")
PULSE_COLUMNS = (*TEXT[:4], *NUMBERS, "test_set")
TEST_SETS = ("grid", "random_soc")
#: Volt; the cells of the published set stay within 1.95 and 4.3.
VOLTAGE_RANGE_V = (1.0, 5.0)
SOH_RANGE = (0.2, 1.2)
#: How far SOH may be from capacity over nominal capacity, and differ between the rows of one ageing stage.
SOH_TOLERANCE, SAME_SOH = 5e-3, 1e-3
FEWEST_VOLTAGES = 3
_VOLTAGE = re.compile(r"U(\d+)")


def voltage_columns(table: pd.DataFrame) -> list[str]:
    """The columns U1..Un of the table in numeric order."""
    return sorted((str(c) for c in table.columns if _VOLTAGE.fullmatch(str(c))), key=lambda name: int(name[1:]))


def refuse_doubled(columns: Iterable[object], where: str) -> None:
    """Raise DataError when a file has a column twice; pandas reads the second U3 as U3.1."""
    names = [str(c) for c in columns]
    for name in names:
        base, _, copy = name.rpartition(".")
        if copy.isdigit() and base in names:
            raise DataError(f"{where}: column {base} is there twice. Leave the right one.")


def check_voltage_order(columns: Iterable[object], where: str) -> list[str]:
    """U1..Un, as they stand in a file. Raises DataError for a gap, fewer than 3 or a changed order."""
    names = [str(c) for c in columns]
    found = [name for name in names if _VOLTAGE.fullmatch(name)]
    wanted = [f"U{k}" for k in range(1, max((int(name[1:]) for name in found), default=0) + 1)]
    missing = [name for name in wanted if name not in found]
    if missing or len(found) < FEWEST_VOLTAGES:
        lacks = f"{', '.join(missing[:5])} missing" if missing else f"only {', '.join(found) or 'none'} there"
        raise DataError(
            f"{where}: the voltages must be columns U1, U2, ... without a gap, {FEWEST_VOLTAGES} or more: {lacks}. "
            f"Its columns are {', '.join(names)}."
        )
    if found != wanted:
        k = next(i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b)
        raise DataError(
            f"{where}: the voltage columns are not in the order U1..U{len(wanted)}: {found[k]} stands where {wanted[k]} "
            "should. Find out what the columns really are and put them in order."
        )
    return found


def place(table: pd.DataFrame, row: int) -> str:
    """Where a row came from, for a message: its label in the file and its id."""
    label = table.index[row]
    known = [str(table[name].iloc[row]) for name in ("stage_id", "cell_id") if name in table]
    return (label if isinstance(label, str) else f"row {row + 1}") + (f" ({known[0]})" if known else "")


def read_numbers(table: pd.DataFrame, name: str, where: str) -> pd.Series:
    """A column as float64. Raises DataError, naming row and value, for an empty cell, text, or an infinite number."""
    values = pd.to_numeric(table[name], errors="coerce").astype(float)
    bad = np.flatnonzero(~np.isfinite(values.to_numpy()))
    if bad.size:
        raw = table[name].iloc[int(bad[0])]
        words = (
            "is empty (a formula that was never calculated reads so: save the workbook once)"
            if pd.isna(raw)
            else f"is {raw!r}, not a number"
        )
        raise DataError(f"{where}, {place(table, int(bad[0]))}: {name} {words}. Correct it or take the row out.")
    return values


def check_pulses(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table, checked by `check_rows`, ids made unique over types, sorted by battery, test_set, stage_id and soc.

    An id that occurs in two types gets all ids their type in front ("LMO_10Ah/7"). Raises DataError, also for a
    single physical cell: nothing learned from it could be tested on another.
    """
    checked = check_rows(table, where)
    for name in ("cell_id", "stage_id"):
        if (checked.groupby(name)["battery"].nunique() > 1).any():
            for column in ("cell_id", "stage_id"):
                checked[column] = checked["battery"] + "/" + checked[column]
            break
    if checked["cell_id"].nunique() < 2:
        raise DataError(
            f"{where}: all {len(checked)} rows are of one physical cell, {checked['cell_id'].iloc[0]}. At least two are "
            "needed, to train on one and test on another; check which column tells the cells apart."
        )
    return checked.sort_values(["battery", "test_set", "stage_id", "soc"], kind="stable", ignore_index=True)


def check_rows(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """`PULSE_COLUMNS` and U1..Un of the rows of one file, as text and float64, index kept.

    `table` may also have `capacity_Ah`: then SOH is compared with it, and it's left out. The index labels name the rows
    in messages ("sheet SOC ALL, row 7"). Raises DataError that starts with `where` for whatever is wrong.
    """
    lacking = [name for name in PULSE_COLUMNS if name not in table.columns]
    if lacking:
        raise DataError(f"{where}: a table of pulse tests needs the column {lacking[0]}.")
    voltages = check_voltage_order(table.columns, where)
    if not len(table):
        raise DataError(f"{where}: there is no pulse test in it, only column names.")
    for name in TEXT:
        blank = np.flatnonzero(table[name].isna() | (table[name].astype(str).str.strip() == ""))
        if blank.size:
            raise DataError(f"{where}, {place(table, int(blank[0]))}: {name} is empty. Fill it or take the row out.")
    unknown = set(table["test_set"]) - set(TEST_SETS)
    if unknown:
        raise DataError(f"{where}: test_set is {min(unknown)!r}, it must be {' or '.join(TEST_SETS)}.")
    texts = {name: table[name].astype(str).str.strip().astype(object) for name in TEXT}
    numbers = {name: read_numbers(table, name, where) for name in (*NUMBERS, *voltages)}
    checked = pd.DataFrame({name: texts.get(name, numbers.get(name)) for name in (*PULSE_COLUMNS, *voltages)})
    _check_types(checked, where)
    _check_voltages(checked, voltages, where)
    _check_soc(checked, where)
    _check_soh(checked, where)
    if "capacity_Ah" in table.columns:
        ratio = read_numbers(table, "capacity_Ah", where) / checked["nominal_capacity_Ah"]
        _refuse(
            checked,
            (ratio - checked["soh"]).abs() > SOH_TOLERANCE,
            where,
            lambda i: (
                f"soh is {checked['soh'].iloc[i]:.4g}, but capacity over nominal capacity is {ratio.iloc[i]:.4g}. One of "
                "the three is wrong or in another unit."
            ),
        )
    return checked


def _refuse(table: pd.DataFrame, bad: "pd.Series[bool]", where: str, words: Callable[[int], str]) -> None:
    """Raise DataError for the first row of the mask `bad`; `words(row)` says what is wrong with it."""
    rows = np.flatnonzero(bad)
    if rows.size:
        more = f" {rows.size - 1} more rows have this." if rows.size > 1 else ""
        raise DataError(f"{where}, {place(table, int(rows[0]))}: {words(int(rows[0]))}{more}")


def _check_types(table: pd.DataFrame, where: str) -> None:
    for battery, rows in table.groupby("battery"):
        for name in ("chemistry", "nominal_capacity_Ah"):
            values = rows[name].unique()
            if len(values) > 1:
                raise DataError(
                    f"{where}: battery type {battery} has {name} {values[0]} and {values[1]}: these are two types. Give "
                    "each type a file of its own, or a csv a column that names it (data.columns.battery)."
                )
    for name in ("nominal_capacity_Ah", "pulse_width_s"):
        values = table[name].to_numpy()
        if (values <= 0).any():
            row = int(np.argmax(values <= 0))
            raise DataError(f"{where}, {place(table, row)}: {name} is {values[row]:g}; it must be above 0.")


def _check_voltages(table: pd.DataFrame, voltages: list[str], where: str) -> None:
    values = table[voltages].to_numpy()
    low, high = VOLTAGE_RANGE_V
    for i, k in np.argwhere((values < low) | (values > high))[:1]:
        value = values[i, k]
        hint = (
            "this looks like mV: divide by 1000 (data=pulse_csv: data.voltage_unit=mV)"
            if value > 100
            else "no pulse of one cell goes there; correct it or take the row out"
        )
        raise DataError(
            f"{where}, {place(table, i)}: {voltages[k]} is {value:g}, outside {low:g} to {high:g} V; {hint}."
        )


def _check_soc(table: pd.DataFrame, where: str) -> None:
    soc = table["soc"]
    if (soc >= 2).any():
        mixed = ((soc > 0) & (soc <= 1)).any()
        what = "fractions and percent are mixed" if mixed else "this looks like percent"
        raise DataError(
            f"{where}: soc runs from {soc.min():g} to {soc.max():g}: {what}. Give all of it as fractions, 0 to 1."
        )
    _refuse(table, (soc < 0) | (soc > 1), where, lambda i: f"soc is {soc.iloc[i]:g}, outside 0 to 1. Correct the row.")
    keys = ["battery", "test_set", "stage_id", "soc"]
    _refuse(
        table,
        table.duplicated(keys),
        where,
        lambda i: (
            f"there is a row of {table['stage_id'].iloc[i]} at SOC {soc.iloc[i]:g} already. Leave one of them, or name "
            "the column that tells them apart, such as the ageing stage."
        ),
    )


def _check_soh(table: pd.DataFrame, where: str) -> None:
    soh, (low, high) = table["soh"], SOH_RANGE

    def words(i: int) -> str:
        hint = "this looks like percent: divide by 100 (data=pulse_csv: data.soh_unit=percent)"
        return f"soh is {soh.iloc[i]:g}, not a fraction above {low:g} and up to {high:g}; " + (
            f"{hint}." if soh.iloc[i] > 20 else "correct the row."
        )

    _refuse(table, ~((soh > low) & (soh <= high)), where, words)
    stages = table.groupby(["battery", "stage_id"])
    _refuse(
        table,
        (soh - stages["soh"].transform("first")).abs() > SAME_SOH,
        where,
        lambda i: (
            f"soh is {soh.iloc[i]:.4g}, but {table['stage_id'].iloc[i]} has another in an earlier row. One ageing stage "
            "has one SOH: correct it, or give the stages names of their own."
        ),
    )
    _refuse(
        table,
        table["cell_id"] != stages["cell_id"].transform("first"),
        where,
        lambda i: (
            f"stage {table['stage_id'].iloc[i]} belongs to two cells. Give every cell's stages names of their own."
        ),
    )
