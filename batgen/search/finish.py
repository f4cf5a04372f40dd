"""The end of a search: its files are written and the best configuration is trained again and tested, by one process."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from batgen import run, tracking
from batgen.best import override_word
from batgen.config import same_run
from batgen.errors import ConfigError
from batgen.files import write_json
from batgen.job import FINAL, LOG
from batgen.search.settings import SearchSettings
from batgen.search.standing import Best, best_of
from batgen.search.words import best_table, command, number, short, so_far
from batgen.sweep_file import SWEEP

if TYPE_CHECKING:
    from batgen.search.sweep import Search


def write_plan(search: "Search", jobs: Sequence[Mapping[str, Any]] | None = None) -> None:
    """sweep.json: what this multirun is, for those that collect runs. jobs: the final run; None: as it was, if it was."""
    if jobs is None:
        jobs = _written(search.multirun.folder / SWEEP).get("jobs", ())
    content = {
        "kind": "search",
        "name": search.settings.name,
        "typed": list(search.typed),
        "axes": {p.key: p.text() for p in search.space},
        "jobs": list(jobs),
    }
    write_json(search.multirun.folder / SWEEP, content)


def finished_before(search: "Search", done: int) -> str | None:
    """What to say when all that this search can do was done before; None where something is left."""
    folder, best = search.multirun.folder, best_of(search.study)
    content = _written(folder / "search.json")
    if content.get("finished") != done or (best is not None and not (folder / "best.yaml").is_file()):
        return None
    if best is None or (search.settings.retrain and not _trained(_final(search, best)[0])):
        return None
    name, said = search.settings.name, f"{search.settings.objectives[0]} {number(best.values[0])}"
    all_done = so_far(search.total, done) if done > search.total else f"all {done} trials were done before"
    return (
        f"search {name}: {all_done}, nothing is left to do. Best: {said} (trial {best.number}).\n"
        f"results: {short(folder / 'search.md')}\n"
        f"To go on: search.n_trials={2 * done}; to begin another: search.name=OTHER"
    )


def finish(search: "Search", out: Console) -> float | None:
    """Write the results, then train and test the best configuration in FOLDER/final. Returns the best first objective.

    Where another process is at it, nothing is done but to say so. Raises ConfigError where no trial is
    complete, and what the final run raises.
    """
    folder = search.multirun.folder
    try:
        with FileLock(folder / ".finish.lock", timeout=0):
            return _finish(search, out)
    except Timeout:
        out.print(f"search {search.settings.name}: another process is writing the results.", markup=False)
        return None


def _finish(search: "Search", out: Console) -> float | None:
    from batgen.search.results import summary, write_results

    folder, choices = search.multirun.folder, search.multirun.choices
    about = {key: str(choices.get(key)) for key in ("data", "model")}
    content = summary(search.settings, search.space, search.study, about, run.monitored(search.multirun.cfg))
    paths = write_results(folder, content, {"model": about["model"]})
    best = best_of(search.study)
    if best is None:
        raise ConfigError(
            f"search.name={search.settings.name}: no trial was completed, so there is no best one "
            f"({short(folder / 'search.md')} lists them). Raise search.n_trials or search.warmup, or use search.pruner=none."
        )
    measured = ", ".join(f"{o} {number(v)}" for o, v in zip(search.settings.objectives, best.values, strict=True))
    out.print(best_table(best.params, f"best: trial {best.number}, {measured}"))
    if len(search.settings.objectives) > 1:
        out.print(f"(of {len(content['front'])} trials on the front, the best in {search.settings.objectives[0]})")
    for path in paths:
        out.print(short(path), markup=False)
    own = [w for w in search.typed if not w.lstrip("+~").startswith(("search", "best="))]
    out.print(
        f"use it: {command(f'best={short(paths[0])}', *own, *own_words(search.settings, search.typed))}", markup=False
    )
    if search.settings.retrain:
        _train_final(search, best, out)
    where = shlex.quote(short(folder))
    runs = [f"{where}/trials/*/wandb", *([f"{where}/{FINAL}*/wandb"] if search.settings.retrain else [])]
    if said := tracking.upload(search.multirun.cfg, *runs):
        out.print(said, markup=False)
    return best.values[0]


def _train_final(search: "Search", best: Best, out: Console) -> None:
    folder, job = _final(search, best)
    write_plan(search, [{"folder": folder.name, "words": job, "values": best.params}])
    if _trained(folder):
        out.print(f"final run: done before, in {short(folder)}", markup=False)
        return
    how = " ".join(own_words(search.settings, search.typed)) or "as it was"
    beside = f"; what it says goes to {short(folder / LOG)}" if search.multirun.parallel else ""
    out.print(f"final run: trial {best.number} again, {how}, then its test{beside}", markup=False)
    (_, error) = search.multirun.start([search.multirun.placed(job, folder.name)], search.total)[0]
    if error is not None:
        raise error


def _final(search: "Search", best: Best) -> tuple[Path, list[str]]:
    """The folder of the final run and its overrides: final, or final-2 ... where another run's is there."""
    values = [override_word(key, value) for key, value in best.params.items()]
    job = [*search.typed, *values, *own_words(search.settings, search.typed), f"search.trial={FINAL}"]
    cfg, _ = search.multirun.compose(search.multirun.placed(job, FINAL))
    place, names = search.multirun.folder / FINAL, 1
    while (place / "config.yaml").is_file():
        saved = OmegaConf.load(place / "config.yaml")
        if isinstance(saved, DictConfig) and same_run(saved, cfg):
            break
        names += 1
        place = search.multirun.folder / f"{FINAL}-{names}"
    return place, job


def own_words(settings: SearchSettings, typed: Sequence[str]) -> list[str]:
    """`search.final`, less what is typed otherwise."""
    given = {word.lstrip("+~").split("=")[0] for word in typed}
    return [str(word) for word in settings.final if str(word).lstrip("+~").split("=")[0] not in given]


def _written(path: Path) -> dict[str, Any]:
    """What `path` holds; nothing where it is not there or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _trained(folder: Path) -> bool:
    """Whether a run in `folder` got to its end."""
    return (folder / "metrics.json").is_file() and (folder / "run.json").is_file()
