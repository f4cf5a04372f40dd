"""Runs as plain functions: train, resume, prepare a dataset. No Hydra here; `cfg` is a composed and validated config."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen import config, curve_run, profile_run, pulse_run, sequence_run
from batgen.build import build, signature
from batgen.console import console
from batgen.errors import CheckpointError
from batgen.files import replacing, write_json
from batgen.folder import claim
from batgen.processes import main_process
from batgen.provenance import provenance

#: What a run does with its data is read from what the preprocessing PRODUCES.
_FAMILIES: dict[str, Any] = {
    "curves": curve_run,
    "profiles": profile_run,
    "pulses": pulse_run,
    "sequences": sequence_run,
}


@dataclass
class Result:
    """What a run leaves: its folder, all metric rows, and the score a search would minimise (mean over parts): Total CRPS
    of curves, MAPE of SOH of pulse tests."""

    folder: Path
    rows: list[dict[str, Any]]
    score: float


def train(cfg: DictConfig, folder: Path) -> Result:
    """Train and evaluate every (protocol, seed) of `cfg` in `folder`, write tables and figures, say what came out.

    Raises BatgenError on bad input. A part whose metrics.json exists is read, not run again.
    """
    started, out = time.time(), console()
    folder = Path(folder).resolve()
    family = _FAMILIES[signature(cfg.preprocessing._target_).constants["PRODUCES"]]
    for protocol in config.protocols(cfg):
        family.check_settings(config.resolved(cfg, protocol, config.seeds(cfg)[0]))
    if main_process():
        claim(folder, cfg)
    rows: list[dict[str, Any]] = []
    figures: dict[str, list[Path]] = {}
    for protocol in config.protocols(cfg):
        parts = {seed: folder / f"{protocol}-seed{seed}" for seed in config.seeds(cfg)}
        todo = []
        for seed, part in parts.items():
            if (part / "metrics.json").is_file():
                out.print(f"{part.name}: done before, read from {part / 'metrics.json'}")
                rows += json.loads((part / "metrics.json").read_text(encoding="utf-8"))["rows"]
            else:
                todo.append(seed)
        if todo:
            confs = [config.resolved(cfg, protocol, seed) for seed in todo]
            try:
                rows += family.run_parts(confs, [parts[seed] for seed in todo], folder, out)
            except KeyboardInterrupt:
                out.print(f"\nStopped. Go on with: python train.py run_dir={_short(folder)} resume=true")
                raise
        if main_process():  # of the first seed: more would show the same
            drawn = folder / "figures" / (protocol if cfg.protocol == "both" else "")
            figures[protocol] = family.draw(parts[config.seeds(cfg)[0]], drawn)
    if not main_process():
        return Result(folder, rows, float("nan"))
    write_json(folder / "metrics.json", {"rows": rows})
    with replacing(folder / "metrics.md") as temporary:
        temporary.write_text(family.to_markdown(rows), encoding="utf-8")
    write_json(folder / "run.json", _record(cfg, folder, started))
    family.print_tables(rows, out)
    for made in figures.values():
        out.print(f"figure: {_short(made[0])}  ({len(made)} in {_short(made[0].parent)})")
    out.print(f"folder: {_short(folder)}")
    out.print(f"every metric, and a page to look at: python scripts/evaluate.py run={_short(folder)}")
    return Result(folder, rows, family.score(rows))


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

    node = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(node, dict)
    source = build(config.without({str(k): v for k, v in node.items()}, *config.BESIDE["data"]))
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
    for path in sorted([*folder.glob("*-seed*/model.ckpt"), *folder.glob("*-seed*/models/*.ckpt")]):
        trained = load(path)
        name = path.parent if path.name == "model.ckpt" else path.with_suffix("")
        parts[name.relative_to(folder).as_posix()] = {
            **trained.facts,
            "parameters": sum(p.numel() for p in trained.model.parameters()),
        }
    return {**provenance(started), "seed": config.seeds(cfg), "parts": parts}


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
