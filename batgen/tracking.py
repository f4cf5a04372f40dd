"""What a run tells W&B and TensorBoard beside the losses that its loggers see: when it begins, what came out, how it ended."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from batgen.config import without
from batgen.errors import ConfigError
from batgen.processes import main_process
from batgen.training.wandb_online import check_online, import_wandb
from batgen.training.wandb_runs import WandbSettings, finish, finished, open_runs, run_of, uploads
from batgen.training.watch import Pruned


def check(conf: Mapping[str, Any]) -> None:
    """Refuse what W&B could not do, before data are read: not installed, a bad setting, online without key or network.

    conf: of a part. Raises ConfigError, which says how to train offline.
    """
    settings = _wandb(conf)
    if settings is None or not main_process():
        return
    import_wandb()
    if settings.mode == "online":
        check_online()


@contextmanager
def tracked(folder: Path, console: Console) -> Iterator[None]:
    """Within the block W&B runs of the run folder may be opened; all are finished when it ends, however it ends.

    The exit code is 0 of a run with everything in it, or of a block that is pruned; else 1. A run that cannot be finished
    keeps no other open, and hides no error of the block.
    """
    pruned = False
    try:
        yield
    except Pruned:
        pruned = True
        for one in open_runs(folder):
            one.run.summary["state"] = "pruned"
        raise
    finally:
        try:
            for one in open_runs(folder):
                with _said(f"W&B: the run of {one.part.name} could not be finished", console):
                    finish(one, exit_code=0 if one.complete or pruned else 1)
            for line in uploads(folder) if main_process() else []:
                console.print(line, markup=False)
        except ConfigError:
            pass  # a damaged wandb.json: whoever opens its run has said so


def begin(conf: Mapping[str, Any], part: Path, job_type: str | None = None) -> None:
    """Open the W&B run of the part, where there is to be one: what fails from now on is a failed run there too.

    job_type: "trial" tells the trials of a search from its final run.
    """
    if (settings := _wandb(conf)) is not None and main_process():
        part.mkdir(parents=True, exist_ok=True)
        run_of(part, conf, settings, job_type)


def publish(
    conf: Mapping[str, Any],
    part: Path,
    figures: Sequence[Path],
    score: Callable[[list[dict[str, Any]]], float],
    console: Console,
) -> None:
    """Send tables, figures and examples of a part that is done and finish its W&B run, unless an earlier call did.

    score: of the part's metric rows, `run.Result.score`. What cannot be sent is said, and tried again when the run is gone on
    with: a result that took hours to train is not lost over it.
    """
    if not main_process():
        return
    settings = _wandb(conf)
    if settings is not None and not finished(part):
        with _said(f"W&B: {part.name} could not be published; resume=true tries again", console):
            from batgen.tracking_wandb import publish_wandb

            one = run_of(part, conf, settings)
            publish_wandb(one, conf, figures)
            rows = json.loads((part / "metrics.json").read_text(encoding="utf-8"))["rows"]
            one.run.summary["score"] = score(rows)
            one.complete = True
            finish(one, exit_code=0)
    if _node(conf, "tensorboard") is not None:
        with _said(f"TensorBoard: {part.name} could not be published; resume=true tries again", console):
            from batgen.tracking_tensorboard import publish_tensorboard, published

            if not published(part):
                publish_tensorboard(part, conf, figures)


def summarise(conf: Mapping[str, Any], part: Path, values: Mapping[str, float]) -> None:
    """Numbers by name into the summary of the part's W&B run: what a trial of a search says, which leaves no tables."""
    if (settings := _wandb(conf)) is not None and main_process():
        one = run_of(part, conf, settings)
        one.run.summary.update({**values, "state": "complete"})
        one.complete = True


@contextmanager
def _said(what: str, console: Console) -> Iterator[None]:
    """An error of the block is one line on the console, whatever it is: W&B's are of many kinds."""
    try:
        yield
    except Exception as error:
        console.print(f"{what} ({type(error).__name__}: {error})", style="yellow", markup=False)


def upload(conf: Mapping[str, Any], *folders: str) -> str | None:
    """How to upload what the jobs of a multirun leave in `folders` (patterns for the shell), where they are offline."""
    node = _node(conf, "wandb")
    if node is None or node.get("mode", "offline") != "offline":
        return None
    return f"W&B, offline: upload with: wandb sync {' '.join(folders)}"


def _wandb(conf: Mapping[str, Any]) -> WandbSettings | None:
    node = _node(conf, "wandb")
    return None if node is None else WandbSettings(**without(node, "_target_"))


def _node(conf: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The logger of batgen.training.loggers with this name, whatever the config calls it."""
    nodes = (conf.get("logger") or {}).values()
    return next((node for node in nodes if node["_target_"] == f"batgen.training.loggers.{name}"), None)
