"""Made tables of pulse tests, and the measured ones as pandas reads them, in the columns of `batgen.data.pulse_table`."""

from pathlib import Path

import numpy as np
import pandas as pd

SOCS = tuple(k / 100 for k in range(5, 55, 5))
#: The training SOCs of the published cases.
CASES = {
    "0": [0.05, 0.15, 0.25, 0.35, 0.45, 0.50],
    "1": [0.05, 0.10, 0.30, 0.40, 0.50],
    "2": [0.05, 0.25, 0.40, 0.50],
    "3": [0.05, 0.25, 0.50],
    "4": [0.35, 0.40, 0.45, 0.50],
    "5": [0.20, 0.25, 0.30],
    "6": [0.05, 0.10, 0.15, 0.20],
    "7": [0.05, 0.10],
}


def pulse_table(
    cells: tuple[int, int] = (7, 10), stages: int = 3, voltages: int = 21, random_rows: bool = True
) -> pd.DataFrame:
    """Two types: AAA_1Ah, whose cells have `stages` ageing stages, and BBB_2Ah, whose cells are one stage each."""
    rng = np.random.default_rng(0)
    types = (("AAA_1Ah", "NMC", 1.0, stages), ("BBB_2Ah", "LMO", 2.0, 1))
    rows = []
    for (battery, chemistry, capacity, count), number in zip(types, cells, strict=True):
        for cell in range(number):
            for stage in range(count):
                name = f"{battery[0]}{cell}"
                soh = 1 - 0.04 * cell - 0.01 * stage
                levels = [(soc, "grid") for soc in SOCS]
                if random_rows:
                    levels += [(float(soc), "random_soc") for soc in rng.uniform(0.05, 0.5, 2).round(4)]
                rows += [
                    (battery, chemistry, name, name if count == 1 else f"{name}-{stage}", soc, soh, capacity, 5.0, kind)
                    for soc, kind in levels
                ]
    names = (
        "battery",
        "chemistry",
        "cell_id",
        "stage_id",
        "soc",
        "soh",
        "nominal_capacity_Ah",
        "pulse_width_s",
        "test_set",
    )
    table = pd.DataFrame(rows, columns=list(names))
    size = np.sin(np.arange(1, voltages + 1))
    for k in range(voltages):
        table[f"U{k + 1}"] = 3.4 + table["soc"] + 0.1 * table["soh"] * size[k] + 0.001 * rng.normal(size=len(table))
    return table


def only(battery: str, table: pd.DataFrame) -> pd.DataFrame:
    return table[table["battery"] == battery].reset_index(drop=True)


def measured(data_dir: Path, battery: str) -> pd.DataFrame:
    """The sheet SOC ALL of a published workbook."""
    raw = pd.read_excel(data_dir / "pulse_voltage_response" / f"{battery}_W_5000.xlsx", sheet_name="SOC ALL")
    stage = raw["ID"].astype(str)
    table = pd.DataFrame(
        {
            "battery": battery,
            "chemistry": raw["Mat"].astype(str),
            "cell_id": stage.str.split("-").str[0] if battery == "NMC_2.1Ah" else stage,
            "stage_id": stage,
            "soc": raw["SOC"] / 100,
            "soh": raw["SOH"].astype(float),
            "nominal_capacity_Ah": raw["Qn"].astype(float),
            "pulse_width_s": 5.0,
            "test_set": "grid",
        }
    )
    return pd.concat([table, raw[[f"U{k}" for k in range(1, 22)]]], axis=1)
