"""The one number that a run is known by, for each protocol: chosen by what its rows hold. Reads metrics.json rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from batgen.report.labels import small_unit

Row = Mapping[str, Any]
#: (title, what a row must say, protocol it is for or None), in order: the first with rows is taken.
_CHOICES: tuple[tuple[str, dict[str, Any], str | None], ...] = (
    ("Total MAE", {"metric": "MAE", "signal": "Total", "mode": "reconstruction"}, "paper"),
    ("Total CRPS", {"metric": "CRPS", "signal": "Total", "mode": "prior"}, None),
    ("MAPE of SOH", {"metric": "MAPE", "signal": "SOH", "method": "average", "calibration": "none"}, None),
    ("energy score", {"metric": "energy_score", "signal": "profile"}, None),
    ("CRPS", {"metric": "CRPS", "method": "model", "horizon": "all", "unit": "%"}, None),
    ("CRPS", {"metric": "CRPS", "method": "model", "horizon": "all"}, None),
)


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
    mine = [r for r in rows if r.get("role") == "model" and r.get("test_set") != "val" and r["value"] is not None]
    found = []
    for protocol in dict.fromkeys(str(r["protocol"]) for r in mine):
        for title, says, only in _CHOICES:
            picked = [
                r for r in mine if r["protocol"] == protocol and all(r.get(key) == value for key, value in says.items())
            ]
            if picked and only in (None, protocol):
                found.append(_headline(protocol, title, picked))
                break
    return found


def _headline(protocol: str, title: str, rows: Sequence[Row]) -> Headline:
    by_seed: dict[Any, list[float]] = {}
    for row in rows:
        by_seed.setdefault(row.get("seed"), []).append(float(row["value"]))
    means = [fmean(values) for values in by_seed.values()]
    spread = stdev(means) if len(means) > 1 and all(map(math.isfinite, means)) else math.nan
    return Headline(protocol, title, fmean(means), spread, str(rows[0]["unit"]), str(rows[0]["direction"]))
