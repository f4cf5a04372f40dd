"""W&B runs, one for each part (protocol and seed) of a run: opened once, found again by whoever logs, finished in every case.

An offline run lies in FOLDER/wandb/offline-run-*; its id is kept in PART/wandb.json, so that a part that is gone on with is
the same run to W&B (`wandb sync` joins what several processes wrote).
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batgen.errors import ConfigError
from batgen.files import write_json
from batgen.training.wandb_online import OFFLINE, import_wandb

MODES = ("offline", "online", "disabled")
#: In the W&B config: the model as tables name it. Several models may be of one class, and one class several models.
MODEL = "model_name"
#: A part that is gone on with logs from here on times the number of its earlier starts: W&B wants steps that only grow.
_STEPS_A_START = 10_000_000
#: An upload that takes longer than this is left to `wandb sync`: a job must not wait for a network that went away.
_UPLOAD_S = 600.0


@dataclass(frozen=True)
class WandbSettings:
    """What `logger.wandb` says: see conf/logger/wandb.yaml. Raises ConfigError on a bad value."""

    project: str = "batgen"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    mode: str = "offline"
    checkpoint: bool = False
    system: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"logger.wandb.mode={self.mode}: it must be one of {', '.join(MODES)}.")
        if not isinstance(self.tags, list | tuple) or not all(isinstance(tag, str) for tag in self.tags):
            raise ConfigError(
                f"logger.wandb.tags={self.tags}: must be a list, such as logger.wandb.tags=[first,second]."
            )
        if not self.project:
            raise ConfigError("logger.wandb.project: it must not be empty. Leave it out: it is batgen then.")


@dataclass
class PartRun:
    """An open W&B run (`run`, of wandb.init) of the part folder `part`. complete: all that the part leaves is in it."""

    part: Path
    run: Any
    settings: WandbSettings
    complete: bool = False


#: Part folder -> its run, while it is open in this process.
_OPEN: dict[Path, PartRun] = {}


def run_of(part: Path, config: Mapping[str, Any], settings: WandbSettings, job_type: str | None = None) -> PartRun:
    """The W&B run of the part folder `part`, opened where it is not open yet; `config` is the part's own.

    Raises ConfigError where W&B cannot open it.
    """
    if part not in _OPEN:
        _OPEN[part] = PartRun(part, _opened(part, config, settings, job_type), settings)
    return _OPEN[part]


def open_runs(folder: Path) -> list[PartRun]:
    """The runs of the parts of the run folder `folder` that are open in this process."""
    return [one for one in _OPEN.values() if one.part.parent == folder]


def finished(part: Path) -> bool:
    """Whether the W&B run of this part was finished with everything in it."""
    return bool(_kept(part).get("finished"))


def finish(one: PartRun, exit_code: int) -> None:
    """Finish the run: 0 is success to W&B, anything else a failure."""
    del _OPEN[one.part]
    one.run.finish(exit_code=exit_code)
    _keep(one.part, finished=one.complete, exit_code=exit_code)


def losses_sent(part: Path) -> bool:
    """Whether the losses that no logger has seen are in the run, of this or an earlier start."""
    return bool(_kept(part).get("losses_sent"))


def keep_losses_sent(part: Path) -> None:
    """Remember it: rows of a history are added to, where what else is sent again replaces what was there."""
    _keep(part, losses_sent=True)


def uploads(folder: Path) -> list[str]:
    """Where the W&B runs of a run folder's parts are, or how to upload them: a line each, no line twice."""
    kept = [_kept(path.parent) for path in sorted(folder.glob("*/wandb.json"))]
    short = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    offline = f"W&B, offline: upload with: wandb sync {short / 'wandb'}"
    return list(dict.fromkeys(f"W&B: {one['url']}" if one.get("mode") == "online" else offline for one in kept))


def _keep(part: Path, **facts: Any) -> None:
    """A disabled run has no file, and gets none."""
    if kept := _kept(part):
        write_json(part / "wandb.json", {**kept, **facts})


def _opened(part: Path, config: Mapping[str, Any], settings: WandbSettings, job_type: str | None) -> Any:
    wandb = import_wandb()
    kept = _kept(part)
    starts = int(kept.get("starts", 0))
    about = {
        "id": kept.get("id") or secrets.token_hex(4),
        "project": settings.project,
        "entity": settings.entity,
        "group": settings.group or _multirun(part.parent),
        "name": _name(part, config),
    }
    # Settings of our own, no object that wandb writes the id into; no output is captured: progress bars would fill it.
    quiet = {
        "silent": True, "console": "off", "init_timeout": 30.0, "finish_timeout": _UPLOAD_S,
        "x_disable_stats": not settings.system,
    }  # fmt: skip
    try:
        run = wandb.init(
            **about,
            dir=str(part.parent),
            config={**config, MODEL: class_name(config)},  # of a class that is several models, publishing says which
            tags=_tags(config, settings.tags),
            job_type=job_type,
            mode=settings.mode,
            resume="allow" if starts else None,
            reinit="create_new",
            save_code=False,
            settings=quiet,
        )
    except wandb.Error as error:
        raise ConfigError(f"W&B cannot open a run ({error}). {OFFLINE}") from None
    if settings.mode != "disabled":
        written = [*kept.get("folders", []), Path(run.dir).parent.name]
        about |= {"mode": settings.mode, "url": run.url, "starts": starts + 1, "folders": written}
        write_json(part / "wandb.json", {**kept, **about, "finished": False})
    if starts:
        run.log({"starts": starts + 1}, step=starts * _STEPS_A_START)
    return run


def _kept(part: Path) -> dict[str, Any]:
    path = part / "wandb.json"
    if not path.is_file():
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, dict) and isinstance(kept.get("id"), str):
            return kept
    except ValueError:
        pass
    raise ConfigError(f"{path}: damaged, so the W&B run of this part is not known. Delete it: a new W&B run is begun.")


def _multirun(folder: Path) -> str | None:
    """The name of the multirun that this run folder is a job of: its folder has a sweep.json. Of one that is only named by
    the time of day ("2026-05-01/12-30-45") the day too: groups of a project must not meet."""
    for up in (folder.parent, folder.parent.parent):
        if (up / "sweep.json").is_file():
            return f"{up.parent.name}_{up.name}" if re.fullmatch(r"\d\d-\d\d-\d\d", up.name) else up.name
    return None


def _name(part: Path, config: Mapping[str, Any]) -> str:
    """ "rcvae_sim honest-seed0"; of a job of a multirun its folder too, which says what is different in it."""
    words = [str(config.get("run_name") or ""), part.name]
    if _multirun(part.parent) is not None:
        words.append(f"({part.parent.name})")
    return " ".join(word for word in words if word)[:128]


def _tags(config: Mapping[str, Any], own: list[str]) -> list[str]:
    """The user's tags, and what everybody filters by: the model, the data, the protocol and the family of data."""
    from batgen.build import signature

    family = str(signature(config["preprocessing"]["_target_"]).constants["PRODUCES"])
    names = [class_name(config), str(config["data"]["name"]), str(config["protocol"]), family]
    return list(dict.fromkeys([*own, *names]))


def class_name(config: Mapping[str, Any]) -> str:
    """ "wgan_gp", the module of the model's class."""
    return str(config["model"]["_target_"]).split(".")[-2]
