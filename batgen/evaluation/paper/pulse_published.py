"""What the published pulse model reaches on the measured data: MAPE of SOH over the SOCs not trained on.

`pulse_soh.csv` beside this module holds them (columns battery, case, training_soc_percent, without, with_generated; in
%). They are no numbers from the text of Tao et al. 2024 (Nature Communications) but their published code, run unchanged
by us with seed 0 on the staged workbooks: a random forest on the measured training rows alone ("without") and forests
on generated rows of each test SOC ("with"). Cells are shared between training and test, generation is given the true
SOH of the test rows, and cases 4 to 7 (extrapolation) use a voltage shift tuned for each chemistry.
"""

import csv
from functools import cache
from pathlib import Path


@cache
def _table() -> tuple[dict[str, str], ...]:
    """The rows of the CSV file as they stand."""
    with (Path(__file__).parent / "pulse_soh.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def published(battery: str) -> dict[str, tuple[float, float]]:
    """Case ("0" .. "7") -> MAPE (%) of SOH (without generated rows, with them) of one battery type.

    Empty for types other than NMC_2.1Ah and LMO_10Ah: we have no data to run the published code on.
    """
    return {
        row["case"]: (float(row["without"]), float(row["with_generated"]))
        for row in _table()
        if row["battery"] == battery
    }
