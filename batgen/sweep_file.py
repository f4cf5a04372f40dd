"""sweep.json in the folder of every multirun: which jobs lie there and what varies."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batgen import jobs
from batgen.errors import ConfigError, DataError
from batgen.files import write_json
from batgen.grid_plan import Grid
from batgen.overrides import read_sweeps

SWEEP = "sweep.json"
#: What a job's words may say without being another study: why it is run, what it is called, who is told of it.
_BESIDE = ("search", "ablation.", "run_name", "logger", "best")


def read(folder: Path) -> dict[str, Any] | None:
    """What sweep.json says; None where there is none. Raises DataError where it is no sweep.json of ours."""
    path = folder / SWEEP
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = all(isinstance(v, list | str) for v in content["axes"].values()) and isinstance(content["typed"], list)
        shape = whole and all(
            isinstance(job["folder"], str) and isinstance(job["values"], dict) for job in content["jobs"]
        )
        if not shape or not {"kind", "name"} <= content.keys():
            raise ValueError("it does not say what a multirun's says")
    except FileNotFoundError:
        return None
    except KeyError as error:
        raise _damaged(path, f"it has no {error}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, str(error)) from None
    found: dict[str, Any] = content
    return found


def write(grid: Grid, folder: Path, typed: Sequence[str]) -> None:
    """Write down what a grid or an ablation is. Jobs of an earlier call stay: more values may come day by day.

    Raises DataError where a search lies in the folder, ConfigError where an ablation of that name has other words.
    """
    own = [
        {"folder": job.folder.relative_to(folder).as_posix(), "words": list(job.words), "values": dict(job.values)}
        for job in grid.jobs
    ]
    before = read(folder) or {"kind": grid.kind, "jobs": [], "axes": {}, "typed": []}
    if before["kind"] not in ("grid", "ablation"):
        raise DataError(f"{folder}: a {before['kind']} lies there. Choose another folder with {_remedy(grid)}.")
    axes = {key: list(values) for key, values in grid.axes.items()}
    for key, values in before["axes"].items():
        axes[key] = [*values, *(value for value in axes.get(key, []) if value not in values)]
    if grid.kind == "ablation" and any(jobs.begun(folder / job["folder"]) for job in before["jobs"]):
        _check_words(before["typed"], typed, axes, folder, _remedy(grid))
    folders = {job["folder"] for job in own}
    kept = [job for job in before["jobs"] if job["folder"] not in folders]
    content = {"kind": grid.kind, "name": grid.name, "typed": list(typed), "axes": axes, "jobs": [*kept, *own]}
    write_json(folder / SWEEP, content)


def fixed_words(typed: Sequence[str], axes: Sequence[str]) -> list[str]:
    """The words that hold for every job of a sweep: no axis, no name, no logger."""
    found = {
        t.key: t.word for t in read_sweeps(typed) if t.key not in axes and not t.key.lstrip("+~").startswith(_BESIDE)
    }
    return list(found.values())


def _check_words(before: Sequence[str], now: Sequence[str], axes: Any, folder: Path, remedy: str) -> None:
    old, new = fixed_words(before, axes), fixed_words(now, axes)
    gone, added = [w for w in old if w not in new], [w for w in new if w not in old]
    if gone or added:
        says = [f"with {' '.join(gone)}"] * bool(gone) + [f"without {' '.join(added)}"] * bool(added)
        raise ConfigError(
            f"{folder}: was run {' and '.join(says)}; one table would mix two studies. Type the same words, or "
            f"choose another folder with {remedy}."
        )


def _remedy(grid: Grid) -> str:
    return "ablation.name=OTHER" if grid.kind == "ablation" else "hydra.sweep.dir=DIR"


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path}: damaged ({why}). Remove it and run the same sweep again: it skips what is done.")
