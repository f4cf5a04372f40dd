"""The downstream proof: with few measured cells, does a generator trained on them alone help a regression on new cells?

For each share of the cells, repeat and model an ordinary run is trained on the kept cells; a regression then learns from
the kept curves, from them and jittered copies, from them and synthetic ones, and from synthetic ones, and is tested on
held-out measured cells.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from batgen import config, overrides
from batgen.build import signature
from batgen.downstream_curves import TARGETS
from batgen.errors import ConfigError, DataError
from batgen.evaluation.downstream import SOURCES
from batgen.files import replacing, write_json
from batgen.folder import check_free
from batgen.provenance import provenance

SHARES = (0.03, 0.05, 0.1, 0.2)
#: Joined to these where few cells make most of them the same.
MORE_SHARES = (0.5, 1.0)


@dataclass(frozen=True)
class DownstreamSettings:
    """typed: overrides of train.py that all runs share. shares: of the training cells; None: SHARES, and MORE_SHARES where
    fewer than three of them differ. repeats: seeds 0, 1, ... synthetic: curves drawn for each run (curves only)."""

    typed: tuple[str, ...]
    models: tuple[str, ...]
    shares: tuple[float, ...] | None = None
    repeats: int = 5
    synthetic: int = 1000
    targets: tuple[str, ...] = TARGETS

    def __post_init__(self) -> None:
        if self.repeats < 1 or self.synthetic < 2:
            raise ConfigError(
                f"repeats={self.repeats}, synthetic={self.synthetic}: give 1 repeat and 2 curves or more."
            )
        if unknown := [t for t in self.targets if t not in TARGETS]:
            raise ConfigError(f"targets: {unknown[0]!r} is none of {', '.join(TARGETS)}.")
        if self.shares is not None and not (self.shares and all(0 < s <= 1 for s in self.shares)):
            raise ConfigError(
                f"shares={list(self.shares)}: give fractions above 0, at most 1, such as shares=[0.05,0.2]."
            )


@dataclass
class _Plan:
    """What is known before anything is trained: the kind of data, the targets, and the shares that differ."""

    kind: str
    targets: list[str]
    shares: list[float]
    notes: list[str] = field(default_factory=list)


def downstream(settings: DownstreamSettings, conf: Path, out: Path, console: Console) -> list[dict[str, Any]]:
    """Train, regress, and write downstream.json, .md and .png to `out`; returns the rows. Finished runs are read.

    `conf`: the folder of the config tree. Runs lie in out/<model>/share<share>-seed<k>. Raises BatgenError on bad input.
    """
    from batgen.report.downstream_words import to_markdown
    from batgen.report.figures.downstream import draw_downstream
    from batgen.report.figures.style import save

    started = time.time()
    plan = _plan(settings, conf)
    for note in plan.notes:
        console.print(f"note: {note}", style="yellow")
    console.print(
        f"{len(plan.shares)} shares x {settings.repeats} repeats x {len(settings.models)} models: "
        f"{len(plan.shares) * settings.repeats * len(settings.models)} runs in {out}"
    )
    rows: list[dict[str, Any]] = []
    for model in settings.models:
        for repeat in range(settings.repeats):
            for share in plan.shares:
                folder = out / model / f"share{share:g}-seed{repeat}"
                cfg = _compose(settings, conf, model, share, repeat, plan.targets)
                try:
                    rows += _one(settings, plan, cfg, folder, console)
                except DataError as error:  # so few cells that this model cannot be fitted to them
                    plan.notes.append(f"{model}, share {share:g}, repeat {repeat} is left out: {error}")
                    console.print(f"note: {plan.notes[-1]}", style="yellow")
    if not rows:
        raise DataError(f"{out}: no run could be made. {plan.notes[-1]}")
    about = {
        **asdict(settings), "data": rows[0]["data"], "kind": plan.kind, "targets": plan.targets, "shares": plan.shares,
        "wall_s": time.time() - started, "provenance": provenance(started),
    }  # fmt: skip
    write_json(out / "downstream.json", {"rows": rows, "about": about, "notes": plan.notes})
    text = to_markdown(rows, plan.notes)
    with replacing(out / "downstream.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    save(draw_downstream(rows), out / "downstream.png")
    console.print(text, markup=False)
    console.print(f"folder: {out}")
    return rows


def _plan(settings: DownstreamSettings, conf: Path) -> _Plan:
    """Compose every config once, and find out which shares keep different cells."""
    kinds = {}
    for model in settings.models:
        cfg = overrides.compose([*settings.typed, f"model={model}"], conf)
        kinds[model] = kind = str(signature(cfg.preprocessing._target_).constants["PRODUCES"])
        if kind not in ("curves", "pulses") or kind != kinds[settings.models[0]]:
            raise ConfigError(
                f"model={model} makes {kind}: the downstream proof takes models of curves, or models of pulse tests. "
                "README.md says which these are."
            )
    cells, targets, notes = _cells(settings, conf, settings.shares or (*SHARES, *MORE_SHARES))
    wanted = settings.shares or SHARES
    shares = _different(cells, wanted)
    if settings.shares is None and len(shares) < 3:
        notes.append("so few cells that most shares keep the same ones: shares of 0.5 and 1 are run as well")
        wanted = (*SHARES, *MORE_SHARES)
        shares = _different(cells, wanted)
    if same := [f"{s:g}" for s in wanted if s not in shares]:
        notes.append(f"shares {', '.join(same)} keep the same cells as a smaller share and are not run again")
    return _Plan(kinds[settings.models[0]], targets, shares, notes)


def _different(cells: dict[float, list[Any]], wanted: Sequence[float]) -> list[float]:
    shares: list[float] = []
    for share in sorted(set(wanted)):
        if cells[share] not in [cells[s] for s in shares]:
            shares.append(share)
    return shares


def _cells(
    settings: DownstreamSettings, conf: Path, shares: Sequence[float]
) -> tuple[dict[float, list[Any]], list[str], list[str]]:
    """By share the cells that each repeat keeps; the targets that the data have, and notes."""
    cells: dict[float, list[Any]] = {share: [] for share in shares}
    targets: list[str] = ["soh"]
    notes: list[str] = []
    for repeat in range(settings.repeats):
        data = None
        for share in shares:
            part = _resolved(_compose(settings, conf, settings.models[0], share, repeat, []), repeat)
            if signature(part["preprocessing"]["_target_"]).constants["PRODUCES"] == "pulses":
                from batgen import downstream_pulses

                cells[share].append(downstream_pulses.kept_cells(part))
                continue
            from batgen import curve_part, downstream_curves

            if data is None:
                data = curve_part.prepare(part)
                targets, notes = downstream_curves.known_targets(data.table, settings.targets)
            cells[share].append(downstream_curves.kept_cells(part, data))
    if not targets:
        raise ConfigError(f"targets=[{','.join(settings.targets)}]: {'; '.join(notes)}. Choose others, or other data.")
    return cells, targets, notes


def _compose(
    settings: DownstreamSettings, conf: Path, model: str, share: float, repeat: int, targets: Sequence[str]
) -> DictConfig:
    """The config of one run: what was typed, this share of the cells, and no more evaluation than has to be."""
    own = [f"model={model}", "protocol=honest", f"seed={repeat}", f"split.train_share={share!r}"]
    try:
        cfg = overrides.compose([*settings.typed, *own], conf)
    except ConfigError as error:
        if "train_share" not in str(error):
            raise
        raise ConfigError("split: this split has no train_share. Use split=cell, policy or unseen_soc.") from None
    cfg.run_name = f"downstream_{model}"
    if model != settings.models[0]:  # one regression for all models: of the same curves, on the same points
        first = _compose(settings, conf, settings.models[0], share, repeat, [])
        cfg.preprocessing = OmegaConf.create(OmegaConf.to_container(first.preprocessing, resolve=False))
    if targets and signature(cfg.preprocessing._target_).constants["PRODUCES"] == "curves":
        names = list(config.resolved(cfg, "honest", repeat)["preprocessing"]["conditions"])
        cfg.preprocessing.conditions = [*names, *(t for t in targets if t not in names)]
        cfg.evaluation.baselines = {}
        if not any(word.startswith("evaluation.prior_samples=") for word in settings.typed):
            cfg.evaluation.prior_samples = 8
    config.validate(cfg)
    return cfg


def _resolved(cfg: DictConfig, repeat: int) -> dict[str, Any]:
    return config.resolved(cfg, "honest", repeat)


def _one(
    settings: DownstreamSettings, plan: _Plan, cfg: DictConfig, folder: Path, console: Console
) -> list[dict[str, Any]]:
    """One share, repeat and model: the run, then its regressions; both are read where they were made before."""
    from batgen.run import train

    repeat = int(cfg.seed)
    conf = _resolved(cfg, repeat)
    asked = {"targets": plan.targets, "synthetic": settings.synthetic, "sources": list(SOURCES)}
    made = folder / "downstream.json"
    part = folder / f"honest-seed{repeat}"
    check_free(folder, cfg)  # a run of other words lies there: not these
    if not (part / "metrics.json").is_file():
        console.print(f"[bold]{folder.parent.name}/{folder.name}[/bold]")
        train(cfg, folder)
    elif made.is_file() and (saved := json.loads(made.read_text(encoding="utf-8")))["asked"] == asked:
        return list(saved["rows"])
    if plan.kind == "pulses":
        from batgen.downstream_pulses import pulse_errors

        found = pulse_errors(conf, part)
    else:
        from batgen.downstream_curves import curve_errors

        found = curve_errors(conf, part, plan.targets, settings.synthetic)
    about = {
        "data": str(cfg.data.name), "model": folder.parent.name, "protocol": "honest",
        "share": float(cfg.split.train_share), "repeat": repeat,
    }  # fmt: skip
    units = {"soh": "1", "eol": "cycles"}
    rows = [{**about, **row, "unit": units[row["target"]]} for row in found]
    write_json(made, {"asked": asked, "rows": rows})
    return rows
