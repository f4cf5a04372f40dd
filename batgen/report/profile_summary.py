"""From tidy metrics.json rows of profile runs to the cells of tables: seeds joined, best marked. No rendering here."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from batgen.report.labels import in_order, symbol
from batgen.report.profile_grid import NEIGHBOUR, Grid, Row, effects, grid, place_of
from batgen.report.profile_labels import check_words, test_set_words
from batgen.report.profile_words import verdicts

TEMPERATURE = "temperature_degC"
#: feature -> head of its mean absolute error, narrow enough for eight columns in a terminal.
_FEATURES = {
    "peak_temperature_degC": "peak\ntemp.\nMAE",
    "peak_time_s": "peak\ntime\nMAE",
    "temperature_rise_degC": "rise\nMAE",
    "final_temperature_degC": "final\ntemp.\nMAE",
}
#: metric of the whole profile -> head; the direction that wins.
_STATISTICS = {"energy_score": ("energy\nscore", "lower"), "nearest_pair_ratio": ("nearest\npair → 1", "one")}
_FAILURES = {"flat_share": "flat", "repeat_share": "repeats", "out_of_range_share": "out of\nrange"}
_SETS = ("cells", "apart")
_KEYS = ("protocol", "split", "data", "model", "test_set")


@dataclass
class ProfileBlock:
    """The tables of one protocol, split, data, model and test set, and what they say in words."""

    title: str
    caption: str
    main: Grid
    further: list[Grid] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def summarise_profiles(rows: Iterable[Row]) -> list[ProfileBlock]:
    """One block per (protocol, split, data, model, test set) of the model's rows; held-out cells first.

    Baselines and measured references join every block of their protocol, split, data and test set, whatever model they
    name. Times are shown in minutes, shares in %. Rows of test set "val" are for searches and not shown.
    """
    rows = [row for row in rows if row["test_set"] != "val"]
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["role"] == "model":
            blocks.setdefault(tuple(str(row.get(key, "")) for key in _KEYS), []).append(row)
    for key, own in blocks.items():
        place = {name: value for name, value in zip(_KEYS, key, strict=True) if name != "model"}
        own += [r for r in rows if r["role"] != "model" and all(str(r.get(k, "")) == v for k, v in place.items())]
    built = [(dict(zip(_KEYS, key, strict=True)), own) for key, own in blocks.items()]
    # A stable sort: protocols and models stay in their order of appearance.
    order = list(dict.fromkeys(tuple(p[k] for k in _KEYS[:-1]) for p, _ in built))
    built.sort(key=lambda b: (order.index(tuple(b[0][k] for k in _KEYS[:-1])), _rank(b[0]["test_set"])))
    return [_block(place, own) for place, own in built]


def _rank(test_set: str) -> tuple[int, str]:
    return (_SETS.index(test_set) if test_set in _SETS else len(_SETS), test_set)


def _block(place: dict[str, str], rows: list[Row]) -> ProfileBlock:
    signals = in_order(str(r["signal"]) for r in rows if r["metric"] in ("RMSE", "CRPS"))
    shown = TEMPERATURE if TEMPERATURE in signals else signals[0] if signals else ""
    main = [("MAE", name, head, "lower") for name, head in _FEATURES.items()]
    main += [("RMSE", shown, "profile\nRMSE", "lower"), ("CRPS", shown, "CRPS", "lower")]
    main += [("energy_distance", "profile", "energy\ndist.", "lower")]
    main += [("variance_ratio", shown, "var.\nratio\n→ 1", "one")]
    other = [("MAE", "duration_s", "duration\nMAE", "lower")]
    for name in (s for s in signals if s != shown):
        other += [("RMSE", name, f"{symbol(name)}\nRMSE", "lower"), ("CRPS", name, f"{symbol(name)}\nCRPS", "lower")]
    likeness = [(metric, "profile", head, direction) for metric, (head, direction) in _STATISTICS.items()]
    for name in signals:
        likeness += [("marginal_distance", name, f"{symbol(name)}\nmarginal", "lower")]
        likeness += [("spectral_distance", name, f"{symbol(name)}\nspectrum", "lower")]
    likeness += [("C2ST", "profile", "C2ST\n→ 0.5", "half")]
    checks = dict.fromkeys(str(r["signal"]) for r in rows if r["metric"] == "pass_rate")
    grids = [
        grid(rows, "", main, ranked=True),
        grid(rows, "duration and other signals", other),
        grid(rows, "statistics", likeness),
        grid(rows, "physics checks passed", [("pass_rate", c, check_words(c), "higher") for c in checks]),
        grid(rows, "failures", [(metric, "profile", head, "lower") for metric, head in _FAILURES.items()]),
        grid(rows, "trained on synthetic, tested on real", [("TSTR_MAE", "soh", "SoH\nMAE", "lower")]),
        effects(rows),
    ]
    # All tables have the methods in the order of the first.
    order = [line.name for line in grids[0].lines]
    for further in grids[1:-1]:
        further.lines.sort(key=lambda line: order.index(line.name) if line.name in order else len(order))
        further.lines.sort(key=place_of)
    seeds = sorted({int(r["seed"]) for r in rows if r["role"] == "model" and r.get("seed") is not None})
    about = [f"{place['model']} on {place['data']}", f"{place['protocol']} protocol", f"{place['split']} split"]
    return ProfileBlock(
        title=f"Profiles, {test_set_words(place['test_set'])}: " + ", ".join(about),
        caption=_caption(rows, seeds),
        main=grids[0],
        further=[table for table in grids[1:] if table.columns],
        words=verdicts(grids, len(seeds)),
    )


def _caption(rows: list[Row], seeds: list[int]) -> str:
    own = [r for r in rows if r["role"] == "model" and r["metric"] in ("MAE", "RMSE")]
    counts = sorted({int(r["n"]) for r in own if r.get("n")})
    parts = [f"n = {counts[0]}" + (f"-{counts[-1]}" if len(counts) > 1 else "") + " profiles"] if counts else []
    if len(seeds) > 1:
        parts.append(f"{len(seeds)} seeds ({', '.join(map(str, seeds))}): mean ± standard deviation")
    elif seeds:
        parts.append(f"single seed ({seeds[0]})")
    if any(r["role"] == "baseline" for r in rows):
        parts += ["bold: best of a column", "*: baseline best in the first column"]
    if any(r.get("floor") is not None for r in own):
        parts.append(f"{NEIGHBOUR}: a measured training record, run the same way at about the same cycle")
    # What is said of a condition is in its own table.
    return "; ".join(
        dict.fromkeys([*parts, *(str(r["note"]) for r in rows if r.get("note") and r["metric"] != "permuted_ratio")])
    )
