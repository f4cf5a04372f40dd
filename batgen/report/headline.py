"""The one number that a run is known by, for each protocol: chosen by what its rows hold. Reads metrics.json rows."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from batgen.report.labels import small_unit

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """A number that runs may be known by. family: kind of data; says: what a row must say; protocol: the only one it is for;
    signal: of the rows, where `says` leaves it open and it is known beforehand."""

    family: str
    title: str
    says: Mapping[str, Any]
    protocol: str | None = None
    signal: str = ""

    @property
    def key(self) -> str:
        """ "CRPS/Total", "" where the signal is not known beforehand."""
        signal = self.says.get("signal") or self.signal
        return f"{self.says['metric']}/{signal}" if signal else ""


#: In order: the first with rows is taken.
CHOICES = (
    Choice("curves", "Total MAE", {"metric": "MAE", "signal": "Total", "mode": "reconstruction"}, "paper"),
    Choice("curves", "Total CRPS", {"metric": "CRPS", "signal": "Total", "mode": "prior"}),
    Choice("pulses", "MAPE of SOH", {"metric": "MAPE", "signal": "SOH", "method": "average", "calibration": "none"}),
    Choice("profiles", "energy score", {"metric": "energy_score", "signal": "profile"}),
    Choice(
        "sequences", "CRPS", {"metric": "CRPS", "method": "model", "horizon": "all", "unit": "%"},
        signal="discharge_capacity_%",
    ),
    Choice("sequences", "CRPS", {"metric": "CRPS", "method": "model", "horizon": "all"}),
)  # fmt: skip


@dataclass(frozen=True)
class Headline:
    """value: mean over seeds, each the mean over the rows that say it (cases, cuts, folds); spread: standard deviation over
    seeds, NaN for one."""

    protocol: str
    title: str
    value: float
    spread: float
    unit: str
    direction: str

    def text(self) -> str:
        """ "Total MAE 0.126", "MAPE of SOH 2.1 %"."""
        unit, factor = small_unit(self.unit)
        return f"{self.title} {self.value * factor:.3g}" + (f" {unit}" if unit not in ("", "1") else "")


def headlines(rows: Sequence[Row]) -> list[Headline]:
    """One for each protocol of a run that has the rows for it, in order of appearance; of the test rows, never of val."""
    mine = tested(rows)
    found = []
    for protocol in dict.fromkeys(str(r["protocol"]) for r in mine):
        choice, picked = pick([r for r in mine if r["protocol"] == protocol])
        if choice is not None:
            found.append(_headline(protocol, choice.title, picked))
    return found


def tested(rows: Iterable[Row]) -> list[Row]:
    """The model's own rows on test data that have a value."""
    return [r for r in rows if r.get("role") == "model" and r.get("test_set") != "val" and r["value"] is not None]


def pick(rows: Sequence[Row]) -> tuple[Choice | None, list[Row]]:
    """What the `tested` rows of one protocol are known by, and those of them that say it; None where there are none."""
    for choice in CHOICES:
        picked = [
            r
            for r in rows
            if choice.protocol in (None, r["protocol"]) and all(r.get(k) == v for k, v in choice.says.items())
        ]
        if picked:
            return choice, picked
    return None, []


def _headline(protocol: str, title: str, rows: Sequence[Row]) -> Headline:
    by_seed: dict[Any, list[float]] = {}
    for row in rows:
        by_seed.setdefault(row.get("seed"), []).append(float(row["value"]))
    means = [fmean(values) for values in by_seed.values()]
    spread = stdev(means) if len(means) > 1 and all(map(math.isfinite, means)) else math.nan
    return Headline(protocol, title, fmean(means), spread, str(rows[0]["unit"]), str(rows[0]["direction"]))
