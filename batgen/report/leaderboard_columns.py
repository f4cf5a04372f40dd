"""The columns of a leaderboard: which metric of an evaluation each shows, of which signal, and in which table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batgen.report.labels import in_order, small_unit, symbol

Row = Mapping[str, Any]
#: The signal that stands for the curve, and the condition a user asks for first, as far as they are there.
MAIN_SIGNALS = ("voltage_V", "temperature_degC", "discharge_capacity_Ah")
PROFILE_SIGNALS = ("temperature_degC", "voltage_V")
MAIN_CONDITIONS = ("eol", "soh", "ambient_degC", "ecl", "soc")


@dataclass(frozen=True)
class Column:
    """A metric of the table. pick: "signal" (the main one), "curve" (whole curves), "condition" (the main one) or "checks"
    (mean over all). group: the table it stands in. vote: columns that measure the same share one vote in the rank of their
    table. drawn: whether it has a panel in the figure."""

    title: str
    family: str
    metric: str
    pick: str
    group: str
    vote: str
    drawn: bool = False


CLOSE, TRUST = "How close", "How far to trust it"
CHOSEN = (
    Column("RMSE", "fidelity", "RMSE", "signal", CLOSE, "error", drawn=True),
    Column("CRPS", "conditional", "CRPS", "signal", CLOSE, "error"),
    Column("energy score", "conditional", "energy_score", "curve", CLOSE, "error", drawn=True),
    Column("C2ST", "fidelity", "C2ST", "curve", CLOSE, "C2ST", drawn=True),
    Column("condition error", "conditional", "condition_error", "condition", CLOSE, "condition"),
    Column("80 % coverage", "calibration", "coverage_80", "signal", TRUST, "calibration", drawn=True),
    Column("density", "diversity", "density", "curve", TRUST, "density"),
    Column("coverage", "diversity", "coverage", "curve", TRUST, "coverage"),
    Column("membership AUC", "memorisation", "membership_AUC", "curve", TRUST, "memorisation"),
    Column("physics passed", "physics", "pass_rate", "checks", TRUST, "physics"),
)


@dataclass
class Heading:
    """A column as shown: title with its signal, unit after scaling, direction of the metric, and the column."""

    title: str
    unit: str
    direction: str
    column: Column


def pick(column: Column, kind: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of a column: its family and metric, and the signal that stands for the others.

    That is the first of the main ones that every protocol with this metric has: what one protocol was never told cannot
    stand in a line for both. Where they have none in common, the first that any has.
    """
    mine = [r for r in rows if (r["family"], r["metric"]) == (column.family, column.metric)]
    if column.pick == "checks":
        return mine
    order = {
        "curve": ("curve",),
        "signal": PROFILE_SIGNALS if kind == "profiles" else MAIN_SIGNALS,
        "condition": MAIN_CONDITIONS,
    }[column.pick]
    there: dict[str, set[str]] = {}
    for row in mine:
        there.setdefault(str(row["signal"]), set()).add(str(row["protocol"]))
    everywhere = {str(r["protocol"]) for r in mine}
    names = [name for name in dict.fromkeys([*order, *in_order(there)]) if name in there]
    signal = next((name for name in names if there[name] == everywhere), names[0] if names else None)
    return [r for r in mine if r["signal"] == signal]


def heading(column: Column, rows: Sequence[Row]) -> Heading:
    """The heading over these rows of a column."""
    unit = str(rows[0]["unit"])
    shown = small_unit(unit)[0]
    of = symbol(str(rows[0]["signal"])) if column.pick in ("signal", "condition") else ""
    return Heading(f"{column.title} {of}".strip(), "" if shown == "1" else shown, str(rows[0]["direction"]), column)
