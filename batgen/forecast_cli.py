"""The words of scripts/forecast.py: which run, which table, how far, and what to write."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batgen.errors import ConfigError, DataError
from batgen.files import write_json
from batgen.words import key_values

if TYPE_CHECKING:
    from batgen.forecast_run import Forecaster
    from batgen.forecast_table import UserTable

USAGE = """python scripts/forecast.py run=DIR input=cells.csv nominal_capacity_Ah=1.1 [cycles=30] [horizon=to_eol]

Forecasts the cells of a table (csv, csv.gz, xlsx, parquet; one row a cell and cycle) with a finished run of
model=seq2seq_quantile, after their cycle `cycles` (left out: after their last one). Later rows are truth, and the schedule
where the run knows one ahead (columns discharge_c_rate, ambient_degC).
  horizon=to_eol | N | until=CYCLE   until all quantiles reached the end of life, N cycles ahead, or to a cycle
  columns.OURS=THEIRS units.OURS=mAh  where the table names them otherwise: cell_id (left out: one cell), cycle,
                                     discharge_capacity_Ah, and the other targets, inputs and statics of the run
  nominal_capacity_Ah=1.1 | COLUMN   eol_capacity_Ah=0.88 (left out: 80 % of nominal)
  ambient_degC, discharge_c_rate, voltage_min_V, voltage_max_V=NUMBER where the run knows them
  calibrated=true                    intervals as calibrated on validation cells, where the run saved that
  out=forecast.csv | .csv.gz | .parquet, with a figure (.png) and where it came from (.json) beside it
follow=true forecasts the end of life from more and more cycles instead (every=10), shows how it is revised, and says when
each test could have stopped (interval below tolerance=0.2 of the end of life). watch=5 looks at the table again every 5 s
as it grows, until Ctrl-C or rounds=N looks.
Example: python scripts/forecast.py run=outputs/DIR input=cells.csv columns.discharge_capacity_Ah=Cap
         units.discharge_capacity_Ah=mAh nominal_capacity_Ah=1.1 cycles=30"""
_PLAIN = ("horizon", "cycles", "until")
_FOLLOW = ("every", "tolerance", "watch", "rounds")
_FACTS = ("ambient_degC", "discharge_c_rate", "voltage_min_V", "voltage_max_V")
KNOWN = (
    "run", "input", "out", "calibrated", "follow", *_PLAIN, *_FOLLOW, "nominal_capacity_Ah", "eol_capacity_Ah", *_FACTS,
)  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Parse KEY=VALUE words, forecast, write, say what was done. Raises ConfigError for a word it does not know."""
    if not argv or any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    words = key_values(argv, KNOWN, "cycles=30", ("columns.", "units."))
    for key, example in (("run", "run=DIR: the folder of a finished run"), ("input", "input=cells.csv: your table")):
        if key not in words:
            raise ConfigError(f"{key} is missing. Give {example}. See --help.")
    follows = _flag(words, "follow", False)
    for key in _PLAIN if follows else _FOLLOW:
        if key in words:
            raise ConfigError(f"{key}= goes {'without' if follows else 'with'} follow=true. Leave one of them out.")
    # every word is checked before anything is loaded
    eol, facts = _number(words, "eol_capacity_Ah"), {key: _number(words, key) for key in _FACTS if key in words}
    calibrated = _flag(words, "calibrated", True)
    out = Path(words.get("out", "follow.csv" if follows else "forecast.csv"))
    cycles, horizon, until = _whole(words, "cycles"), None, _whole(words, "until")
    every, rounds = _whole(words, "every") or 10, _whole(words, "rounds")
    watch, tolerance = _number(words, "watch"), _number(words, "tolerance") or 0.2
    if words.get("horizon", "to_eol") != "to_eol":
        horizon = _whole(words, "horizon", "a number of cycles ahead, or to_eol")
    if "horizon" in words and until is not None:
        raise ConfigError("horizon and until both say how far to forecast. Leave one of them out.")

    from batgen.forecast_files import check_out  # torch comes in here
    from batgen.forecast_run import open_run
    from batgen.forecast_table import UserTable, read_user_table

    check_out(out)
    path = Path(words["input"]).expanduser()
    forecaster = open_run(Path(words["run"]).expanduser())

    def read() -> UserTable:
        return read_user_table(
            path, forecaster.preprocessing, _group(words, "columns"), _group(words, "units"),
            words.get("nominal_capacity_Ah"), eol, {k: v for k, v in facts.items() if v is not None},
        )  # fmt: skip

    if not follows:
        _forecast(forecaster, read(), path, out, cycles, horizon, until, calibrated)
        return
    seen: tuple[int, int] | None = None
    looks = 0
    while True:
        if (stamp := _stamp(path)) != seen or seen is None:
            try:
                _follow(forecaster, read(), path, out, every, tolerance, calibrated)
            except DataError as error:
                if seen is None:
                    raise
                print(f"waiting: {error}")  # somebody is writing it
            seen = stamp
        looks += 1
        if watch is None or looks == rounds:
            return
        time.sleep(watch)


def _forecast(
    forecaster: "Forecaster", table: "UserTable", path: Path, out: Path, cycles: int | None, horizon: int | None,
    until: int | None, calibrated: bool,
) -> None:  # fmt: skip
    from batgen.forecast_files import account, check_out, eol_table, lines, quantile_table, write_table
    from batgen.forecast_run import forecast
    from batgen.report.figures.forecast_cells import draw_forecasts
    from batgen.report.figures.style import save

    made = forecast(forecaster, table, cycles, horizon, until, calibrated)
    beside = check_out(out)
    write_table(out, quantile_table(made.forecasts))
    targets = list(dict.fromkeys(f.target for f in made.forecasts))
    for target in targets:
        name = beside.name if target == targets[0] else f"{beside.name}_{target}"
        save(draw_forecasts([f for f in made.forecasts if f.target == target]), beside.with_name(f"{name}.png"))
    about = {
        "cycles": {f.cell_id: f.cut_cycle for f in made.forecasts},
        "horizon": horizon or (f"until {until}" if until else "to_eol"),
        "calibrated_at_cuts": [int(cut) for cut in made.calibrated],
        "notes": made.notes,
        "end_of_life": eol_table(made.forecasts).to_dict("records"),
    }
    write_json(beside.with_name(f"{beside.name}.json"), account(forecaster, table, path) | about)
    for note in made.notes:
        print(f"note: {note}")
    if made.calibrated:
        print(f"Intervals are calibrated, on validation cells observed to cycle {', '.join(made.calibrated)}.")
    elif calibrated:
        print("Intervals are as the model gives them: the run saved no calibration.")
    print("\n".join(lines(made.forecasts, horizon is None and until is None)))
    print(f"-> {out}, {beside.name}.png, {beside.name}.json")


def _follow(
    forecaster: "Forecaster", table: "UserTable", path: Path, out: Path, every: int, tolerance: float, calibrated: bool
) -> None:
    from batgen.follow import advise, follow, verdict
    from batgen.forecast_files import account, check_out, interval, write_table
    from batgen.report.figures.forecast_follow import draw_follow
    from batgen.report.figures.style import save

    rows, notes = follow(forecaster, table, every, calibrated)
    beside = check_out(out)
    write_table(out, rows)
    cells = {str(cell): mine for cell, mine in rows.groupby("cell_id", sort=False)}
    advices = [advise(mine, int(mine["observed"].iloc[-1]), tolerance) for mine in cells.values()]
    save(draw_follow(rows, {a.cell_id: a.stop for a in advices}), beside.with_name(f"{beside.name}.png"))
    about = {"notes": notes, "tolerance": tolerance, "advice": [a.__dict__ for a in advices]}
    write_json(beside.with_name(f"{beside.name}.json"), account(forecaster, table, path) | about)
    for note in notes:
        print(f"note: {note}")
    for cell, mine in cells.items():
        last = mine.iloc[-1]
        moved = "" if math.isnan(last["revision"]) else f", moved by {last['revision']:+.1%}"
        print(f"{cell} observed to {last['observed']}: end of life {interval(last)}{moved}")
    for advice in advices:
        print(advice.text)
    if said := verdict(rows, advices):
        print(said)
    print(f"-> {out}, {beside.name}.png, {beside.name}.json", flush=True)


def _group(words: dict[str, str], name: str) -> dict[str, str]:
    """{"cycle": "Cyc"} of columns.cycle=Cyc."""
    return {key.partition(".")[2]: value for key, value in words.items() if key.startswith(f"{name}.")}


def _whole(words: dict[str, str], key: str, what: str = "a whole number from 1 on") -> int | None:
    if key not in words:
        return None
    if not words[key].isdecimal() or int(words[key]) < 1:
        raise ConfigError(f"{key}={words[key]}: give {what}.")
    return int(words[key])


def _number(words: dict[str, str], key: str) -> float | None:
    """A number; temperatures may be negative, everything else is above 0."""
    if key not in words:
        return None
    try:
        value = float(words[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value <= 0 and key != "ambient_degC"):
        raise ConfigError(f"{key}={words[key]}: give a number{'' if key == 'ambient_degC' else ' above 0'}.")
    return value


def _flag(words: dict[str, str], key: str, default: bool) -> bool:
    given = words.get(key, str(default)).lower()
    if given not in ("true", "false"):
        raise ConfigError(f"{key}={words[key]}: give true or false.")
    return given == "true"


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when the file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
