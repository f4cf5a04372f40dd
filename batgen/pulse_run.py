"""The family of pulse runs: prepare, train all parts at once, score one after the other, write what figures want."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console

from batgen.config import without
from batgen.console import Bar
from batgen.evaluation.paper.pulse_published import published
from batgen.evaluation.pulse_scores import Scores, score_member, soh_rows, voltage_rows
from batgen.evaluation.pulses import Generator, PulseEvaluation, Task, Voltages, posterior_examples
from batgen.evaluation.rows import metric_rows
from batgen.files import replacing, write_json
from batgen.processes import use_cores
from batgen.pulse_files import write_pulses
from batgen.pulse_part import Fold, Part, check_settings, new_model, prepare, train_parts, write_losses
from batgen.report.figures.pulses import draw_pulses as draw
from batgen.report.pulse_table import print_pulse_tables as print_tables
from batgen.report.pulse_table import pulse_markdown as to_markdown

__all__ = ["check_settings", "draw", "print_tables", "run_parts", "score", "to_markdown"]


def run_parts(
    confs: Sequence[dict[str, Any]],
    folders: Sequence[Path],
    run_folder: Path,
    console: Console,
    done: Callable[[Path], None],
) -> list[dict[str, Any]]:
    """Train and evaluate parts (one a seed) of one protocol; returns their metric rows. Models trained before are used.

    done: told the folder of each part when its metrics.json is written.
    """
    use_cores()
    parts = [prepare(conf, folder) for conf, folder in zip(confs, folders, strict=True)]
    first = parts[0]
    cells = first.table["cell_id"].nunique()
    console.print(
        f"[bold]{first.conf['protocol']}[/bold] protocol, seeds {', '.join(str(p.conf['seed']) for p in parts)}: "
        f"{len(first.table)} pulse tests of {cells} cells in {first.store.path.name}; {len(first.cases)} cases, "
        f"cells {first.conf['split']['cells']}, {sum(len(p.folds) for p in parts)} models"
    )
    train_parts(parts, console)
    rows: list[dict[str, Any]] = []
    with Bar(console, "scoring", sum(len(p.folds) for p in parts)) as advance:
        for part in parts:
            rows += _score_part(part, advance, _published_rows(part) if part is first else [])
            done(part.folder)
    return rows


def _score_part(part: Part, advance: Any, published_rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    settings = PulseEvaluation(**without(part.conf["evaluation"], "_target_"))
    scored = []
    for fold in part.folds:
        scored.append(_score_fold(part, fold, settings))
        advance(1)
    predictions = pd.concat([s.predictions for s in scored], ignore_index=True)
    rows = [row for case in part.cases for row in _case_rows(part, case, predictions, scored)] + published_rows
    with replacing(part.folder / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False, float_format="%.6g")
    groups: dict[tuple[str, str, str], list[Voltages]] = {}
    for fold, scores in zip(part.folds, scored, strict=True):
        for (role, _, prior), voltages in scores.voltages.items():
            if role == "model":
                groups.setdefault((fold.split.case, fold.split.calibration, prior), []).append(voltages)
    examples, attention = _examples(part, settings)
    write_pulses(part.folder / "pulses.h5", list(part.folds[0].preprocessing.slices), groups, examples, attention)
    write_losses(part)
    facts = {fold.name: without(fold.facts, "history") for fold in part.folds}
    write_json(part.folder / "metrics.json", {"rows": rows, "training": facts, "notes": []})
    return rows


def task_of(part: Part, fold: Fold) -> Task:
    """What scoring a fold needs, in physical units."""
    train, table = part.table.iloc[fold.split.train], part.table
    test = pd.concat([table.iloc[fold.split.test], table.iloc[fold.split.random]])
    names = list(fold.preprocessing.slices)
    scaler = fold.preprocessing.scaler
    return Task(
        train=train,
        test=test,
        volts=lambda rows: rows[names].to_numpy(float),
        encode=lambda rows: torch.from_numpy(fold.conditions.encode(rows)),
        scale=scaler.scale,
        offset=scaler.offset,
        train_soc=part.cases[fold.split.case],
        seed=part.conf["seed"],
    )


def _score_fold(part: Part, fold: Fold, settings: PulseEvaluation) -> Scores:
    task = task_of(part, fold)
    baselines = {
        name: new_model(node, fold.preprocessing, fold.conditions, fold.rows, part.conf["seed"])
        for name, node in settings.baselines.items()
        if node["_target_"] != part.conf["model"]["_target_"]
    }
    found = score_member(fold.model, baselines, task, settings, priors(fold, settings))
    split = fold.split
    found.predictions = found.predictions.assign(case=split.case, fold=split.fold, calibration=split.calibration)
    return found


def priors(fold: Fold, settings: PulseEvaluation) -> list[str]:
    """Interpolation needs none, and calibration cells measured every SOC. The published model knows no slope."""
    if not fold.split.extrapolates or fold.split.calibration != "none":
        return ["none"]
    known = [p for p in settings.priors if p != "slope" or fold.model.has_density]
    return known or ["none"]


def _case_rows(part: Part, case: str, predictions: pd.DataFrame, scored: list[Scores]) -> list[dict[str, Any]]:
    folds = [(f, s) for f, s in zip(part.folds, scored, strict=True) if f.split.case == case]
    about = {
        **part.context,
        "case": case,
        "train_soc": part.cases[case],
        "extrapolates": folds[0][0].split.extrapolates,
    }
    rows = soh_rows(predictions[predictions["case"] == case], about, part.conf["seed"])
    names = list(folds[0][0].preprocessing.slices)
    for calibration in dict.fromkeys(f.split.calibration for f, _ in folds):
        own = [(f, s) for f, s in folds if f.split.calibration == calibration]
        joined: dict[tuple[str, str, str], list[Voltages]] = {}
        for _, scores in own:
            for key, voltages in scores.voltages.items():
                joined.setdefault(key, []).append(voltages)
        rows += voltage_rows(joined, names, {**about, "calibration": calibration})
        for battery in predictions["battery"].unique():
            for prior in dict.fromkeys(p for role, _, p in joined if role == "model"):
                for metric in ("kl_nats", "active_units"):
                    values = [f.facts[metric] for f, _ in own if metric in f.facts]
                    of = {
                        **about, "battery": battery, "calibration": calibration, "prior": prior, "test_set": "grid",
                        "role": "model", "method": "latent", "n": len(own),
                    }  # fmt: skip
                    rows += metric_rows(metric, {"latent": sum(values) / len(values)} if values else {}, of)
    return rows


def _published_rows(part: Part) -> list[dict[str, Any]]:
    """The published model's own numbers where there are any: one seed, cells shared."""
    rows: list[dict[str, Any]] = []
    for battery in part.table["battery"].unique():
        for case, values in published(str(battery)).items():
            if case in part.cases:
                for method, value in zip(("published_without", "published_with"), values, strict=True):
                    of = {
                        **part.context, "protocol": "paper", "seed": None, "model": "published", "battery": battery,
                        "case": case, "train_soc": part.cases[case], "calibration": "none", "prior": "none",
                        "test_set": "grid", "role": "paper", "method": method, "n": None,
                    }  # fmt: skip
                    rows += metric_rows("MAPE", {"SOH": value}, of)
    return rows


def _examples(part: Part, settings: PulseEvaluation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Posterior examples and attention map of each case, from its first fold under the first prior."""
    examples, attention = {}, {}
    for case in part.cases:
        fold = next(f for f in part.folds if f.split.case == case)
        task = task_of(part, fold)
        first = task.test[(task.test["battery"] == task.test["battery"].iloc[0]) & (task.test["test_set"] == "grid")]
        generator = Generator(fold.model, task, priors(fold, settings)[0], settings.published_shift_V)
        if generator.has_density:
            examples[case] = posterior_examples(generator, first)
        found = fold.model.attention(task.encode(first)) if hasattr(fold.model, "attention") else None  # type: ignore[operator]
        if found is not None:
            latents = [f"z{k}" for k in range(1, found.shape[1] - len(fold.conditions.columns) + 1)]
            attention[case] = (found.numpy(), [*fold.conditions.columns, *latents])
    return examples, attention


def score(rows: list[dict[str, Any]]) -> float:
    """MAPE of SOH of the average estimate on test rows, mean over parts, cases and settings: for sweeps to show. Searches
    judge by `pulse_trial`."""
    found = [r["value"] for r in rows if (r["role"], r.get("method"), r["metric"]) == ("model", "average", "MAPE")]
    return sum(found) / len(found) if found else float("nan")
