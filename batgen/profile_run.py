"""The family of profile runs: prepare, train a model a fold, draw, score beside baselines, write what figures want."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from batgen.build import build
from batgen.config import without
from batgen.console import Bar
from batgen.data.profile_set import Drawn
from batgen.errors import ConfigError
from batgen.evaluation.failures import out_of_range_share
from batgen.evaluation.profile_rows import Truth, features, is_one_line, profile_rows
from batgen.evaluation.profile_settings import ProfileEvaluation
from batgen.evaluation.rows import metric_rows
from batgen.files import write_json
from batgen.processes import main_process, use_cores
from batgen.profile_checks import Floors, checks_of, classifier_rows, permutations, physics_rates, utility
from batgen.profile_files import ProfileFile, rows_table, write_table
from batgen.profile_part import Part, new_model, physics_nodes, prepare, train
from batgen.profile_scoring import Tests, feature_table, sample_tests, shown_rows, tests_of, truth_of
from batgen.report.profile_part import draw
from batgen.report.profile_table import print_tables, to_markdown

#: Protocols that the first line of a run names.
_NAMED = 8

__all__ = ["check_settings", "draw", "print_tables", "run_parts", "score", "to_markdown"]


def check_settings(conf: dict[str, Any]) -> None:
    """Build what costs nothing, so that a wrong value is refused before data are read or anything is trained."""
    build(conf["trainer"]).on(conf["device"])
    for group in ("split", "preprocessing", "evaluation"):
        build(conf[group])
    for name, node in physics_nodes(conf).items():
        if (weight := build(node).weight) < 0:
            raise ConfigError(f"model.physics.{name}.weight={weight}: it must be 0 or more.")


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
        if main_process():
            rows += _evaluate(part, console)
        done(folder)
    return rows


def _announce(part: Part, console: Console) -> None:
    conf, table = part.conf, part.profiles.table
    preprocessing = part.members[0].preprocessing
    kinds = sorted(set(table["protocol"]))
    named = "; ".join(kinds[:_NAMED]) + ("; ..." if len(kinds) > _NAMED else "")
    models = "one model" if len(part.members) == 1 else f"{len(part.members)} models"
    console.print(
        f"[bold]{conf['protocol']}[/bold] protocol, seed {conf['seed']}: {len(table)} {preprocessing.part} profiles of "
        f"{table['cell_id'].nunique()} cells ({named}); {part.kind} split, {models}"
    )
    for note in part.notes:
        console.print(f"  note: {note}", style="yellow")


def _evaluate(part: Part, console: Console) -> list[dict[str, Any]]:
    settings: ProfileEvaluation = build(part.conf["evaluation"])
    seed, tests = int(part.conf["seed"]), tests_of(part)
    table = part.profiles.table.iloc[tests.rows].reset_index(drop=True)
    after = settings.after_s(part.members[0].preprocessing.part)
    truth = truth_of(part, tests, after, seed)
    checks = {}
    for member in part.members:
        checks[member.name], more = checks_of(part, member)
        part.notes += [note for note in more if note not in part.notes]
    rows, tables = _measured_rows(part, tests, checks), []
    measured, floors = truth.features(), Floors()
    kept = shown_rows(tests, table, settings.keep_rows)
    methods: dict[str, Any] = {part.title: None, **without(settings.baselines, part.title)}
    with (
        ProfileFile(part.folder / "profiles.h5", part, tests, settings, kept) as file,
        Bar(console, "scoring", len(methods) + 2) as advance,
    ):
        for name, node in methods.items():
            role = "baseline" if node is not None else "model"
            try:
                drawn = sample_tests(part, tests, _model_of(part, node), settings.draws, seed)
            except ConfigError as error:  # a baseline that these data or conditions do not allow
                if node is None:
                    raise
                part.notes.append(f"baseline {name} left out: {error}")
                continue
            one = is_one_line(drawn)
            made = features(drawn.curves, drawn.duration_s, drawn.mask, drawn.time_s, drawn.signals, after)
            tables.append(feature_table(name, role, tests, table, measured, made, one))
            file.method(name, role, drawn, settings.keep_draws)
            rows += _method_rows(part, tests, truth, drawn, {"role": role, "method": name}, checks, settings, floors)
            advance(1)
        rows += _use_rows(part, tests, settings, seed)
        advance(1)
        write_table(part.folder / "train_rows.csv", file.training())
        file.sweeps(settings.sweep, seed)
        advance(1)
    write_table(part.folder / "features.csv", pd.concat(tables, ignore_index=True))
    write_table(part.folder / "rows.csv", rows_table(part, tests))
    notes = list(dict.fromkeys(part.notes))
    rows = [{**row, "note": row.get("note", "")} for row in rows + _validation_rows(part)]
    facts = {member.name: member.facts for member in part.members}
    write_json(part.folder / "metrics.json", {"rows": rows, "training": facts, "notes": notes})
    return rows


def _model_of(part: Part, node: Any) -> Any:
    """The trained model of a member, or a baseline fitted to what the member was trained on."""
    if node is None:
        return lambda member: member.trained
    seed = int(part.conf["seed"])
    return lambda member: new_model(node, member.shape, part.batch(member, member.known), seed).eval()


def _measured_rows(part: Part, tests: Tests, checks: Any) -> list[dict[str, Any]]:
    """What measured test profiles score themselves, where that is not 0 by definition: physics."""
    rows = []
    for name in tests.sets():
        places = np.flatnonzero(tests.test_set == name)
        who = {"role": "measured", "method": "measured", "test_set": name}
        base = {**part.context, **who, "n": len(places), "floor": None}
        for check, rate in physics_rates(part, tests, checks, None, places).items():
            rows += metric_rows("pass_rate", {check: rate}, base)
    return rows


def _method_rows(
    part: Part, tests: Tests, truth: Truth, drawn: Drawn, who: dict[str, str], checks: Any,
    settings: ProfileEvaluation, floors: Floors,
) -> list[dict[str, Any]]:  # fmt: skip
    rows, seed = [], int(part.conf["seed"])
    for name in tests.sets():
        places = np.flatnonzero(tests.test_set == name)
        own = Drawn(drawn.curves[:, places], drawn.duration_s[:, places], drawn.signals, drawn.step_s)
        real = truth.take(places)
        context = {**part.context, **who, "test_set": name}
        base = {**context, "n": len(places), "floor": None}
        rows += profile_rows(real, own, context, seed)
        limits = _limits(truth)
        outside = out_of_range_share(own.curves, own.signals, limits, own.mask)
        rows += metric_rows("out_of_range_share", {"profile": outside}, base)
        for check, rate in physics_rates(part, tests, checks, drawn, places).items():
            rows += metric_rows("pass_rate", {check: rate}, base)
        if settings.c2st:
            rows += classifier_rows(part, tests, places, real, own, base, floors)
    return rows


def _limits(truth: Truth) -> dict[str, tuple[float, float]]:
    """What no profile should leave: the range of the training profiles, half of it wider on either side."""
    low, high = truth.train.min((0, 2)), truth.train.max((0, 2))
    margin = 0.5 * (high - low)
    return {name: (float(low[k] - margin[k]), float(high[k] + margin[k])) for k, name in enumerate(truth.signals)}


def _use_rows(part: Part, tests: Tests, settings: ProfileEvaluation, seed: int) -> list[dict[str, Any]]:
    """What the generated profiles are good for, and what each condition does."""
    rows = []
    places = np.flatnonzero(tests.test_set != "apart")
    base = {**part.context, "test_set": tests.sets()[0], "n": len(places), "floor": None}
    roles = {
        "generated": ("model", part.title),
        "measured": ("measured", "measured"),
        "constant": ("baseline", "constant"),
    }
    if part.profiles.table["soh"].notna().all():
        for name, value in utility(part, tests, places, "soh", seed).items():
            role, method = roles[name]
            rows += metric_rows("TSTR_MAE", {"soh": value}, {**base, "role": role, "method": method})
    if settings.permutations and part.members[0].conditions.names:
        tested = [(m, tests.rows[np.intersect1d(tests.of(m), places)]) for m in part.members]
        found = pd.concat(permutations(part, m, own, settings, seed) for m, own in tested if len(own))
        write_table(part.folder / "permutation.csv", found)
        main = found[found["metric"] == found["metric"].iloc[0]]
        for block, own in main.groupby("block", sort=False):
            varied = own[own["learnt"] != "constant"]  # a fold whose test cells are all alike in it cannot tell
            own = varied if len(varied) else own
            across = own[own["how"] == "across"]  # a fold whose test cells share a protocol can only permute within it
            own = across if len(across) else own
            ratio = float(own["value"].mean() / own["unpermuted"].mean())
            learnt = own["learnt"].mode().iloc[0]
            context = {
                **base,
                "role": "model",
                "method": part.title,
                "n": int(own["n"].sum()),
                "note": f"learnt: {learnt}",
            }
            rows += metric_rows("permuted_ratio", {str(block): ratio}, context)
    return rows


def _validation_rows(part: Part) -> list[dict[str, Any]]:
    """The energy score that chose each fold's step, in scaled space: not for tables, but for searches."""
    context = {**part.context, "role": "model", "method": part.title, "test_set": "val", "floor": None}
    rows = []
    for member in part.members:
        facts = member.facts.get("search", member.facts)
        if facts.get("monitor") == "val/energy_score" and facts.get("best_score") is not None:
            about = {**context, "n": len(member.fold.val), "note": member.name}
            rows += metric_rows("energy_score", {"profile": facts["best_score"]}, about)
    return rows


def score(rows: list[dict[str, Any]]) -> float:
    """Energy score on the validation rows at the chosen step, mean over parts and folds: what a search may look at. NaN for
    models that choose nothing."""
    found = [r["value"] for r in rows if (r["metric"], r["test_set"]) == ("energy_score", "val")]
    return sum(found) / len(found) if found else float("nan")
