"""The family of sequence runs: prepare, train a model a fold, forecast, score beside baselines, write what figures want."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from batgen.build import build
from batgen.console import Bar
from batgen.data.sources.pool import Pool
from batgen.evaluation.conformal import Conformal
from batgen.evaluation.forecast import Forecast
from batgen.evaluation.forecast_rows import forecast_rows
from batgen.evaluation.forecast_settings import ForecastEvaluation
from batgen.explain import write_explanation
from batgen.files import write_json
from batgen.finetune import pretrained
from batgen.forecasting import baseline_forecasts, model_forecasts
from batgen.preprocessing.sequence_series import masked_summary
from batgen.processes import use_cores
from batgen.report.sequence_part import draw
from batgen.report.sequence_table import print_tables, to_markdown
from batgen.sequence_cuts import Pair, tested_pairs, usable
from batgen.sequence_files import write_cells, write_forecasts, write_losses, write_observed
from batgen.sequence_part import Member, Part, check_settings, prepare, train

__all__ = ["check_settings", "draw", "print_tables", "run_parts", "score", "to_markdown"]


def run_parts(
    confs: Sequence[dict[str, Any]],
    folders: Sequence[Path],
    run_folder: Path,
    console: Console,
    done: Callable[[Path], None],
) -> list[dict[str, Any]]:
    """Train and evaluate parts (one a seed) of one protocol, one after the other; returns their metric rows.

    done: told the folder of each part when its metrics.json is written.
    """
    use_cores()
    rows: list[dict[str, Any]] = []
    for conf, folder in zip(confs, folders, strict=True):
        part = prepare(conf, folder)
        _announce(part, console)
        train(part)
        rows += _evaluate(part, console)
        done(folder)
    return rows


def _announce(part: Part, console: Console) -> None:
    counts = ", ".join(f"{name} {len(cells)}" for name, cells in part.parts.cells.items())
    masked = sum(sum(one.masked.values()) for one in part.series.values())
    total = sum(one.last_cycle for one in part.series.values())
    console.print(
        f"[bold]{part.conf['protocol']}[/bold] protocol, seed {part.conf['seed']}: cells {counts} "
        f"({part.parts.kind} split); {len(part.members)} models; {masked} outliers masked in {total} cycles"
    )
    _say(part.notes, console)


def _say(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        console.print(f"  {note}", style="yellow", markup=False)


def _evaluate(part: Part, console: Console) -> list[dict[str, Any]]:
    settings: ForecastEvaluation = build(part.conf["evaluation"])
    methods: dict[str, list[Forecast]] = {"model": []}
    fitted = [(member.preprocessing, member.trained) for member in part.members]
    eol, until = eol_capacities(part), last_cycle(part, settings)
    cuts, said = part.cuts, len(part.notes)
    with Bar(console, "forecasting", 2 + len(settings.baselines)) as advance:
        methods["model"] += validation_forecasts(part, until, eol)
        advance(1)
        methods["model"] += _tested(part, fitted, cuts, until, eol)
        advance(1)
        if (source := pretrained(part.conf)) is not None:
            before = [(source[member.name].preprocessing, source[member.name].model) for member in part.members]
            methods["before fine-tuning"] = _tested(part, before, cuts, until, eol)
        if settings.conformal:
            methods["model, conformal"] = _calibrated(part, methods["model"])
        for name, node in settings.baselines.items():
            methods[name] = _baseline(part, name, node, methods["model"])
            advance(1)
    _say(part.notes[said:], console)
    rows = rows_of(part, settings, {name: found for name, found in methods.items() if found})
    write_forecasts(part.folder / "forecasts.csv.gz", methods, part.members[0].preprocessing.plan.stride)
    write_observed(part.folder / "observed.csv.gz", part)
    write_cells(part.folder / "cells.csv", part, eol)
    write_losses(part)
    if settings.explain:
        write_explanation(part.folder / "explanation.h5", part, settings, cuts)
    facts = {member.name: {k: v for k, v in member.facts.items() if k != "history"} for member in part.members}
    masked = masked_summary(list(part.series.values()))
    content = {"rows": rows, "training": facts, "notes": part.notes, "masked": masked, "short": part.parts.short}
    write_json(part.folder / "metrics.json", content)
    return rows


def last_cycle(part: Part, settings: ForecastEvaluation) -> int:
    """How far all forecasts of a part go at least."""
    return max(settings.until or 0, *(one.last_cycle for one in part.series.values()))


def validation_pairs(part: Part) -> Iterator[tuple[Member, list[Pair]]]:
    """Each member with the cells that stopped it, as far as they can be cut where the tests are: what calibration and
    searches may look at."""
    for member in part.members:
        for cut in [None] if part.parts.stops else part.cuts:
            asked = [(s, cut or own) for s, own in zip(member.val, member.val_cuts, strict=True)]
            if found := usable(asked, member.preprocessing.target_names):
                yield member, found


def validation_forecasts(part: Part, until: int, eol: Mapping[str, float]) -> list[Forecast]:
    """Forecasts of each member for its `validation_pairs`."""
    found: list[Forecast] = []
    for member, val in validation_pairs(part):
        fitted = [(member.preprocessing, member.trained)]
        found += model_forecasts(fitted, [s for s, _ in val], [c for _, c in val], until, "val", eol)
    return found


def _tested(
    part: Part, fitted: Sequence[tuple[Any, nn.Module]], cuts: Sequence[int], until: int, eol: Mapping[str, float]
) -> list[Forecast]:
    """Forecasts of all test sets at all cuts."""
    found: list[Forecast] = []
    for name in part.parts.tests:
        for pairs in tested_pairs(part.parts, part.series, name, cuts, fitted[0][0].target_names):
            found += model_forecasts(fitted, [s for s, _ in pairs], [c for _, c in pairs], until, name, eol)
    return found


def eol_capacities(part: Part) -> dict[str, float]:
    """Capacity at the end of life of each cell in Ah: the dataset's (in a pool, its member's), else 80 % of nominal."""
    source = part.store.source
    members = source.members() if isinstance(source, Pool) else {}
    found = {}
    for cell, one in part.series.items():
        given = members.get(one.info.source, source).eol_capacity_Ah
        found[cell] = float(given) if given and math.isfinite(given) else 0.8 * one.info.nominal_capacity_Ah
    return found


def _calibrated(part: Part, forecasts: list[Forecast]) -> list[Forecast]:
    """Test forecasts with intervals calibrated on the validation forecasts of the same target and cut.

    The calibration is kept in calibration.json, by target and cut, for forecasts of new cells.
    """
    found = []
    kept: dict[str, dict[str, Any]] = {}
    fixed = part.parts.stops is None  # else cells have cuts of their own
    for group in _grouped(forecasts, lambda f: (f.target, f.cut_cycle * fixed)).values():
        val, test = [f for f in group if f.test_set == "val"], [f for f in group if f.test_set != "val"]
        if not test:
            continue
        conformal = Conformal()
        try:
            if len(val) < 2:
                raise ValueError(f"{len(val)} validation forecasts at the same cut are too few")
            conformal.fit(val)
        except ValueError as error:
            part.notes.append(f"conformal, {test[0].target}, cut {test[0].cut_cycle}: left out, {error}")
            continue
        if conformal.limited:
            text = f"too few validation cells for {', '.join(conformal.limited)}: the widest that any needed counts"
            part.notes.append(f"conformal, {test[0].target}, cut {test[0].cut_cycle}: {text}")
        found += [conformal.apply(f) for f in test]
        kept.setdefault(val[0].target, {})[str(val[0].cut_cycle)] = conformal.state()
    write_json(part.folder / "calibration.json", kept)
    return found


def _grouped(forecasts: Sequence[Forecast], key: Any) -> dict[Any, list[Forecast]]:
    found: dict[Any, list[Forecast]] = {}
    for forecast in forecasts:
        found.setdefault(key(forecast), []).append(forecast)
    return found


def _baseline(part: Part, name: str, node: Mapping[str, Any], model: list[Forecast]) -> list[Forecast]:
    """A baseline on the test sets, fitted to all training and validation cells; where it cannot be, a note says why."""
    member = part.members[0]
    train_series = {s.cell_id: s for s in [*member.train, *([] if part.parts.stops else member.val)]}
    statics = [name for group in member.preprocessing.plan.statics.values() for name in group]
    found: list[Forecast] = []
    for target, like in _grouped([f for f in model if f.test_set != "val"], lambda f: f.target).items():
        try:
            found += baseline_forecasts(build(node), list(train_series.values()), like, part.series, statics)
        except ValueError as error:  # no statics, or too few lives: this one has nothing to say here
            part.notes.append(f"{name}, {target}: left out, {error}")
    return found


def rows_of(part: Part, settings: ForecastEvaluation, methods: Mapping[str, list[Forecast]]) -> list[dict[str, Any]]:
    """Metric rows of the forecasts of every method."""
    rows: list[dict[str, Any]] = []
    fixed = part.parts.stops is None  # else cells have cuts of their own
    for method, forecasts in methods.items():
        role = "baseline" if method in settings.baselines else "model"
        for key, group in _grouped(forecasts, lambda f: (f.test_set, f.cut_cycle * fixed, f.target)).items():
            cut = round(sum(f.cut_cycle for f in group) / len(group))
            about = {**part.context, "role": role, "method": method, "test_set": key[0], "cut": cut}
            rows += forecast_rows(group, about, part.conf["seed"], until=settings.until)
    return rows


def score(rows: list[dict[str, Any]]) -> float:
    """CRPS of the model's validation forecasts, mean over parts, cuts and targets: what searches minimise."""
    found = [
        r["value"]
        for r in rows
        if (r["method"], r["test_set"], r["metric"]) == ("model", "val", "CRPS") and not r["signal"].endswith("_Ah")
    ]  # capacity is there twice: in % of nominal it is comparable
    return sum(found) / len(found) if found else float("nan")
