"""Runs as plain functions: train, resume, prepare a dataset. No Hydra here; `cfg` is a composed and validated config."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen import config
from batgen.build import build
from batgen.console import console
from batgen.errors import CheckpointError
from batgen.files import replacing, write_json
from batgen.folder import claim
from batgen.part import check_settings, run_part
from batgen.processes import main_process
from batgen.provenance import provenance
from batgen.report.figures import draw_all
from batgen.report.table import print_tables, to_markdown


@dataclass
class Result:
    """What a run leaves: its folder, all metric rows, and the score a search would minimise (Total CRPS, mean over parts)."""

    folder: Path
    rows: list[dict[str, Any]]
    score: float


def train(cfg: DictConfig, folder: Path) -> Result:
    """Train and evaluate every (protocol, seed) of `cfg` in `folder`, write tables and figures, say what came out.

    Raises BatgenError on bad input. A part whose metrics.json exists is read, not run again.
    """
    started, out = time.time(), console()
    folder = Path(folder).resolve()
    for protocol in config.protocols(cfg):
        check_settings(config.resolved(cfg, protocol, config.seeds(cfg)[0]))
    if main_process():
        claim(folder, cfg)
    rows: list[dict[str, Any]] = []
    figures: dict[str, list[Path]] = {}
    for protocol in config.protocols(cfg):
        for seed in config.seeds(cfg):
            part = folder / f"{protocol}-seed{seed}"
            if (part / "metrics.json").is_file():
                out.print(f"{part.name}: done before, read from {part / 'metrics.json'}")
                rows += json.loads((part / "metrics.json").read_text(encoding="utf-8"))["rows"]
            else:
                try:
                    rows += run_part(config.resolved(cfg, protocol, seed), part, folder, out)
                except KeyboardInterrupt:
                    out.print(f"\nStopped. Go on with: python train.py run_dir={_short(folder)} resume=true")
                    raise
            if protocol not in figures and main_process():  # of the first seed: more would show the same
                figures[protocol] = draw_all(part, folder / "figures" / (protocol if cfg.protocol == "both" else ""))
    if not main_process():
        return Result(folder, rows, float("nan"))
    write_json(folder / "metrics.json", {"rows": rows})
    with replacing(folder / "metrics.md") as temporary:
        temporary.write_text(to_markdown(rows), encoding="utf-8")
    write_json(folder / "run.json", _record(cfg, folder, started))
    print_tables(rows, out)
    for drawn in figures.values():
        out.print(f"figure: {_short(drawn[0])}  ({len(drawn)} in {_short(drawn[0].parent)})")
    out.print(f"folder: {_short(folder)}")
    return Result(folder, rows, _score(rows))


def resume_training(folder: Path) -> Result:
    """Go on with the run in `folder`, from nothing but what lies there. Raises CheckpointError where there is no run."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise CheckpointError(
            f"run_dir={folder}: no config.yaml there, so it is no run folder to resume. Check run_dir."
        )
    config.register_resolvers()
    cfg = OmegaConf.load(path)
    assert isinstance(cfg, DictConfig)
    config.validate(cfg)
    return train(cfg, folder)


def prepare_data(cfg: DictConfig) -> None:
    """Build the store of `cfg.data` and print what is in it, what units were found and what was rejected."""
    from batgen.data.describe import report
    from batgen.data.store import open_store

    source = build(config.without(config.resolved(cfg, config.protocols(cfg)[0], 0)["data"], "curves"))
    out, started = console(), time.time()
    store = open_store(source, cycles=cfg.cycles)
    out.print(report(store))
    if store.source.name == "mit" and os.environ.get("BATGEN_DATA_DIR"):
        from batgen.data.mit_check import cross_check
        from batgen.data.paths import data_dir

        compared, disagreements = cross_check(store, data_dir())
        out.print(f"checked against the published tables beside it: {compared} cells, {len(disagreements)} disagree")
        for line in disagreements:
            out.print(f"  {line}", style="yellow")
    out.print(f"store: {store.path}  ({store.path.stat().st_size / 1e6:.1f} MB, {time.time() - started:.1f} s)")


def _record(cfg: DictConfig, folder: Path, started: float) -> dict[str, Any]:
    from batgen.checkpoint import load

    parts = {}
    for path in sorted(folder.glob("*-seed*/model.ckpt")):
        trained = load(path)
        parts[path.parent.name] = {
            **trained.facts,
            "parameters": sum(p.numel() for p in trained.model.parameters()),
        }
    return {**provenance(started), "seed": config.seeds(cfg), "parts": parts}


def _score(rows: list[dict[str, Any]]) -> float:
    found = [r["value"] for r in rows if r["role"] == "model" and r["metric"] == "CRPS" and r["signal"] == "Total"]
    return sum(found) / len(found) if found else float("nan")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
