"""Runs as plain functions: train, resume, try. No Hydra here; `cfg` is a composed and validated config."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from batgen import (
    config,
    curve_ensemble,
    curve_run,
    curve_trial,
    profile_run,
    profile_trial,
    pulse_run,
    pulse_trial,
    sequence_run,
    sequence_trial,
    tracking,
)
from batgen.build import signature
from batgen.console import console, from_here
from batgen.errors import BatgenError, CheckpointError, ConfigError
from batgen.files import replacing, write_json
from batgen.folder import claim
from batgen.processes import main_process, use_cores
from batgen.provenance import provenance
from batgen.trials import Report, refuse_untrained

#: What a run does with its data is read from what the preprocessing PRODUCES.
_FAMILIES: dict[str, Any] = {
    "curves": curve_run,
    "profiles": profile_run,
    "pulses": pulse_run,
    "sequences": sequence_run,
}
_TRIALS: dict[str, Any] = {
    "curves": curve_trial,
    "profiles": profile_trial,
    "pulses": pulse_trial,
    "sequences": sequence_trial,
}


@dataclass
class Result:
    """What a run leaves: its folder, all metric rows, and one number for sweeps to show (mean over parts). On test rows: Total
    CRPS of curves, MAPE of SOH of pulse tests; on validation rows: energy score of profiles, CRPS of cycle sequences.
    Searches judge by what `trial` returns."""

    folder: Path
    rows: list[dict[str, Any]]
    score: float


def check(cfg: DictConfig, elsewhere: bool = False) -> Any:
    """Refuse wrong values before data are read or anything is trained; returns the module of the run's family.

    elsewhere: it will be trained on another machine, where there may be the GPU that is not here.
    """
    family = _FAMILIES[_produces(cfg)]
    tracking.check(config.resolved(cfg, config.protocols(cfg)[0], config.seeds(cfg)[0]))
    for protocol in config.protocols(cfg):
        conf = config.resolved(cfg, protocol, config.seeds(cfg)[0])
        if elsewhere and "accelerator" in conf["trainer"]:
            conf = {**conf, "device": None, "trainer": {**conf["trainer"], "accelerator": "cpu"}}
        family.check_settings(conf)
    return family


def check_trials(cfg: DictConfig, elsewhere: bool = False) -> None:
    """Refuse what no trial of `cfg` could be trained with, as far as it shows before a search begins."""
    check(cfg, elsewhere)
    module = _TRIALS[_produces(cfg)]
    if module.TRAINED_BY is not None:
        refuse_untrained(config.resolved(cfg, str(cfg.protocol), config.seeds(cfg)[0]), module.TRAINED_BY)


def train(cfg: DictConfig, folder: Path, many: bool = False) -> Result:
    """Train and evaluate every (protocol, seed) of `cfg` in `folder`, write tables and figures, say what came out.

    many: the run is one of several, so that whoever started them says how to go on when it is stopped. Raises BatgenError on
    bad input. A part whose metrics.json exists is read, not run again.
    """
    folder = Path(folder).resolve()
    try:
        with tracking.tracked(folder, console()):
            return _train(cfg, folder)
    except KeyboardInterrupt:
        if not many:
            console().print(
                f"\nStopped. Go on with: python train.py run_dir={from_here(folder)} resume=true", markup=False
            )
        raise


def _train(cfg: DictConfig, folder: Path) -> Result:
    started, out = time.time(), console()
    family = check(cfg)
    if main_process():
        claim(folder, cfg)
    rows: list[dict[str, Any]] = []
    figures: list[list[Path]] = []
    for protocol in config.protocols(cfg):
        found, drawn = _train_protocol(cfg, protocol, folder, family, out)
        rows += found
        figures += [drawn] * bool(drawn)
    if not main_process():
        return Result(folder, rows, float("nan"))
    write_json(folder / "metrics.json", {"rows": rows})
    with replacing(folder / "metrics.md") as temporary:
        temporary.write_text(family.to_markdown(rows), encoding="utf-8")
    write_json(folder / "run.json", _record(cfg, folder, started))
    family.print_tables(rows, out)
    for made in figures:
        out.print(f"figure: {from_here(made[0])}  ({len(made)} in {from_here(made[0].parent)})")
    out.print(f"folder: {from_here(folder)}")
    out.print(f"every metric, and a page to look at: python scripts/evaluate.py run={from_here(folder)}")
    return Result(folder, rows, family.score(rows))


def _train_protocol(
    cfg: DictConfig, protocol: str, folder: Path, family: Any, out: Console
) -> tuple[list[dict[str, Any]], list[Path]]:
    """The parts of a protocol: their metric rows, and the figures of the first seed (more would show the same)."""
    confs = {folder / f"{protocol}-seed{seed}": config.resolved(cfg, protocol, seed) for seed in config.seeds(cfg)}
    todo = [part for part in confs if not (part / "metrics.json").is_file()]
    rows: list[dict[str, Any]] = []
    figures: list[Path] = []

    def done(part: Path) -> None:
        """Show what came out of a part while others are still to come; then the next one begins."""
        first = next(iter(confs)) == part
        if first and main_process():
            figures.extend(family.draw(part, folder / "figures" / (protocol if cfg.protocol == "both" else "")))
        tracking.publish(confs[part], part, figures if first else [], family.score, out)
        if part in todo[:-1]:
            following = todo[todo.index(part) + 1]
            tracking.begin(confs[following], following)

    for part in confs:
        if part not in todo:
            out.print(f"{part.name}: done before, read from {part / 'metrics.json'}")
            rows += json.loads((part / "metrics.json").read_text(encoding="utf-8"))["rows"]
            done(part)
    if todo:
        tracking.begin(confs[todo[0]], todo[0])
        rows += family.run_parts([confs[part] for part in todo], todo, folder, out, done)
    return rows, figures


def train_together(cfgs: Sequence[DictConfig], folders: Sequence[Path]) -> None:
    """Train the models of many runs of curves in one process, where their trainer can (trainer=ensemble).

    cfgs, folders: of jobs of a sweep. `train` finds the models in their folders then, and only evaluates. A run that cannot
    be trained stops no other: its own `train` says why.
    """
    parts: list[curve_ensemble.Part] = []
    for given, folder in zip(cfgs, folders, strict=True):
        cfg = given.copy()
        cfg.search = cfg.ablation = None  # why a job is run, not what it is
        try:
            check(cfg)
            claim(folder, cfg)
        except BatgenError:
            continue
        for protocol in config.protocols(cfg):
            for seed in config.seeds(cfg):
                part = folder / f"{protocol}-seed{seed}"
                curve_ensemble.pop_reason(part)  # of an earlier call: this one tries again
                parts.append((config.resolved(cfg, protocol, seed), part))
    curve_ensemble.train_parts(parts, console())


def trial(cfg: DictConfig, folder: Path, report: Report) -> dict[str, float]:
    """Train the first seed of `cfg` on training rows in `folder`; what validation rows say of it, never a test row.

    report: told the epoch (or step) and the score `monitored` after each validation; True ends the training. Returns numbers
    by name: val/loss and such at the epoch that is best, best_epoch (or best_step), epochs (or steps), parameters (how many),
    train_s (seconds). They are in trial.json too, beside config.yaml; tables by epoch are in the part's folder; no model is
    kept. Raises ConfigError for protocol=both and for what would show a trial what is tested,
    batgen.training.watch.Pruned where `report` ended it, BatgenError as `train` does.
    """
    folder = Path(folder).resolve()
    if cfg.protocol == "both":
        raise ConfigError("protocol=both: a search is of one protocol. Use protocol=honest or protocol=paper.")
    conf = config.resolved(cfg, cfg.protocol, config.seeds(cfg)[0])
    part, kind = folder / f"{conf['protocol']}-seed{conf['seed']}", _produces(cfg)
    with tracking.tracked(folder, console()):
        check(cfg)
        use_cores()
        claim(folder, cfg)
        tracking.begin(conf, part, job_type="trial")
        values: dict[str, float] = _TRIALS[kind].trial(conf, part, report)
        tracking.summarise(conf, part, values)
    write_json(folder / "trial.json", values)
    return values


def trial_unit(cfg: DictConfig) -> str:
    """What the trials of `cfg` count as they train: epochs, or steps."""
    return str(_TRIALS[_produces(cfg)].UNIT)


def monitored(cfg: DictConfig) -> str | None:
    """Which of a trial's scores is reported after each validation; None where nothing is, so that nothing can be pruned."""
    found: str | None = _TRIALS[_produces(cfg)].monitor(
        config.resolved(cfg, config.protocols(cfg)[0], config.seeds(cfg)[0])
    )
    return found


def _produces(cfg: DictConfig) -> str:
    return str(signature(cfg.preprocessing._target_).constants["PRODUCES"])


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
