"""What the jobs of a multirun left in their folders, finished or not. Nothing is trained or loaded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from batgen import jobs, sweep_file
from batgen.errors import DataError

#: What each row says of itself is truer than what was typed: seed=[0,1] and protocol=both are several rows.
OF_THE_ROW = ("seed", "protocol", "cycles")
#: Jiang et al., as conf/ablation says.
PAPER_TRAINING = "1000 with patience 100"


@dataclass(frozen=True)
class Job:
    """folder: relative to the sweep. values: of the axes. state: finished, or what is the matter. rows: of metrics.json."""

    folder: str
    values: Mapping[str, Any]
    state: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Sweep:
    """axes: keys that vary; typed: words that hold for all jobs."""

    kind: str
    name: str
    axes: tuple[str, ...]
    jobs: tuple[Job, ...]
    typed: tuple[str, ...]


def read_sweep(folder: Path) -> Sweep:
    """What sweep.json says of the multirun in `folder`, and what its jobs have left. Raises DataError without sweep.json."""
    content = sweep_file.read(folder)
    if content is None:
        raise DataError(
            f"{folder / sweep_file.SWEEP}: not there, so {folder} is no multirun. Give the folder that its jobs lie in."
        )
    axes = tuple(str(key).lstrip("+") for key in content["axes"])
    found = tuple(_job(folder, entry) for entry in content["jobs"])
    typed = sweep_file.fixed_words(content["typed"], list(content["axes"]))
    return Sweep(str(content["kind"]), str(content["name"]), axes, found, tuple(typed))


def trained(sweep: Sweep, folder: Path) -> list[str]:
    """How the networks were trained, beside the paper's way, and what was typed: a quick try must not look like parity."""
    ways = set()
    for path in (folder / job.folder / "config.yaml" for job in sweep.jobs if job.rows):
        if path.is_file():
            cfg = OmegaConf.load(path)
            ways.add(tuple(OmegaConf.select(cfg, f"trainer.{key}") for key in ("max_epochs", "patience")))
    said = [f"{epochs} epochs at most with patience {patience}" for epochs, patience in sorted(ways, key=str)]
    notes = [f"Trained for {', others for '.join(said)}; in the paper {PAPER_TRAINING}."] if said else []
    own = [
        word for word in sweep.typed if word.partition("=")[0] not in ("ablation", "data", "protocol", "seed", "device")
    ]
    return notes + ([f"Typed, and not the paper's: {' '.join(own)}."] if own else [])


def _job(folder: Path, entry: Mapping[str, Any]) -> Job:
    place = folder / str(entry["folder"])
    values = {str(key).lstrip("+"): value for key, value in entry["values"].items()}
    done = (place / "run.json").is_file() and (place / "metrics.json").is_file()
    files = [place / "metrics.json"] if done else sorted(place.glob("*-seed*/metrics.json"))
    rows = []
    for file in files:
        try:
            rows += [
                _row(row, str(entry["folder"]), values) for row in json.loads(file.read_text(encoding="utf-8"))["rows"]
            ]
        except (ValueError, KeyError) as error:
            raise DataError(f"{file}: damaged ({error}). Remove it and run the same sweep again.") from None
    return Job(str(entry["folder"]), values, "finished" if done else _unfinished(place, len(files)), rows)


def _unfinished(folder: Path, parts: int) -> str:
    if jobs.held(folder):
        return "running"
    if (why := jobs.reason(folder)) is not None:
        return f"failed: {why.splitlines()[0]}"
    if parts:
        return f"stopped; {parts} of its parts are in the table"
    return "stopped" if (folder / "config.yaml").is_file() else "not begun"


def _row(row: Mapping[str, Any], run: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metrics.json with its run, what was varied there, and `method`: what made the curves."""
    own = {key: value for key, value in row.items() if key != "model"}
    varied = {key: value for key, value in values.items() if key not in own or key not in OF_THE_ROW}
    return {**own, **varied, "run": run, "method": row.get("method") or row.get("model")}
