"""What a run tells W&B and TensorBoard beside the losses that its loggers see: when it begins, what came out, how it ended."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from batgen.config import without
from batgen.errors import BatgenError
from batgen.processes import main_process
from batgen.training.wandb_online import check_online, import_wandb
from batgen.training.wandb_runs import PartRun, WandbSettings, finish, finished, open_runs, run_of
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

    The exit code is 0 of a part that is done, or of a block that ends well or is pruned; else 1.
    """
    failed = True
    try:
        yield
        failed = False
    except Pruned:
        failed = False
        raise
    finally:
        ended = open_runs(folder)
        for one in ended:
            done = (one.part / "metrics.json").is_file()
            if done and not one.complete:
                _publish_late(one, console)
            finish(one, exit_code=int(failed and not done))
        for line in dict.fromkeys(_where(one) for one in ended if one.settings.mode != "disabled"):
            console.print(line, markup=False)


def begin(conf: Mapping[str, Any], part: Path) -> None:
    """Open the W&B run of the part, where there is to be one: what fails from now on is a failed run there too."""
    if (settings := _wandb(conf)) is not None and main_process():
        part.mkdir(parents=True, exist_ok=True)
        run_of(part, conf, settings)


def publish(
    conf: Mapping[str, Any],
    part: Path,
    figures: Sequence[Path],
    score: Callable[[list[dict[str, Any]]], float],
    fresh: bool,
) -> None:
    """Send the tables, figures and examples of a part that is done. fresh: it was done now, not by an earlier call.

    score: of the part's metric rows, what searches minimise.
    """
    if not main_process():
        return
    settings = _wandb(conf)
    if settings is not None and (fresh or not finished(part)):
        from batgen.tracking_wandb import publish_wandb

        one = run_of(part, conf, settings)
        publish_wandb(one, figures)
        rows = json.loads((part / "metrics.json").read_text(encoding="utf-8"))["rows"]
        one.run.summary["score"] = score(rows)
        one.complete = True
    if fresh and _node(conf, "tensorboard") is not None:
        from batgen.tracking_tensorboard import publish_tensorboard

        publish_tensorboard(part, conf, figures)


def summarise(conf: Mapping[str, Any], part: Path, values: Mapping[str, float]) -> None:
    """Numbers by name into the summary of the part's W&B run: what a trial of a search says, which leaves no tables."""
    if (settings := _wandb(conf)) is not None and main_process():
        one = run_of(part, conf, settings)
        one.run.summary.update(dict(values))
        one.complete = True


def _publish_late(one: PartRun, console: Console) -> None:
    """A part that was done before another one failed: nothing it has to show may hide what went wrong there."""
    from batgen.tracking_wandb import publish_wandb

    try:
        publish_wandb(one, [])
        one.complete = True
    except BatgenError as error:
        console.print(f"W&B: {one.part.name} could not be published. {error}", style="yellow", markup=False)


def _where(one: PartRun) -> str:
    if one.settings.mode == "online":
        return f"W&B: {one.run.url}"
    folder = one.part.parent / "wandb"
    short = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return f"W&B, offline: upload with: wandb sync {short}"


def _wandb(conf: Mapping[str, Any]) -> WandbSettings | None:
    node = _node(conf, "wandb")
    return None if node is None else WandbSettings(**without(node, "_target_"))


def _node(conf: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The logger of batgen.training.loggers with this name, whatever the config calls it."""
    nodes = (conf.get("logger") or {}).values()
    return next((node for node in nodes if node["_target_"] == f"batgen.training.loggers.{name}"), None)
