"""Workbooks like the published ones, made on the spot, with the drift in names and sheets that those have."""

from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pandas as pd

LEVELS = (5, 10, 15)


def voltage(k: int, soc: float, soh: float) -> float:
    """U_k in V: a closed form, so that a mixed-up column or row shows."""
    return round(3.0 + 0.9 * soc + 0.01 * k * (2 - soh), 6)


def sheet(
    ids: Sequence[object] = ("D3-100", "D3-200", "E1-100"),
    levels: Sequence[float] = LEVELS,
    n: int = 21,
    mat: str = "NMC",
    nominal: float = 2.1,
    names: tuple[str, str, str] = ("ID", "Pt", "SOE"),
    width: float = 5,
    percent: bool = True,
) -> pd.DataFrame:
    """One sheet: the id, width and third SOC columns as `names` has them; `levels` in percent.

    SOE (percent, SOC x SOH) and SOCR (a fraction) hold what must never be read as SOC.
    """
    rows = []
    for level in levels:
        for i, name in enumerate(ids):
            soh = 0.95 - 0.05 * i
            other = level * soh if names[2] == "SOE" else level / 100 - 1e-4
            row = {"File_Name": f"{name}.xls", "Mat": mat, "No.": i + 1, names[0]: name, "Qn": nominal}
            row |= {"Q": nominal * soh, "SOH": soh, names[1]: width, "SOC": level if percent else level / 100}
            row |= {names[2]: other} | {f"U{k}": voltage(k, level / 100, soh) for k in range(1, n + 1)}
            rows.append(row)
    return pd.DataFrame(rows)


def by_level(everything: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """SOC ALL and its copies by level, as published."""
    levels = {f"SOC{level:g}": rows for level, rows in everything.groupby("SOC", sort=True)}
    return {"SOC ALL": everything, **levels}


def write(folder: Path, sheets: dict[str, pd.DataFrame], battery: str = "NMC_2.1Ah", suffix: str = "_W_5000") -> Path:
    """A workbook with these sheets."""
    folder.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, table in sheets.items():
        page = book.create_sheet(name)
        page.append(list(table.columns))
        for row in table.itertuples(index=False):
            page.append([None if value is None or value != value else value for value in row])
    path = folder / f"{battery}{suffix}.xlsx"
    book.save(path)
    return path
