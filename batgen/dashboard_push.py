"""What goes to W&B beside the runs: the workspace of a project, and what was collected of a sweep as a run of its own."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from batgen.errors import ConfigError, DataError
from batgen.training.wandb_online import import_wandb

#: What the images and the table of a collected sweep are called in W&B.
PREFIX, TABLE = "ablation/", "table.csv"


def import_workspaces() -> None:
    """Raise ConfigError where wandb or wandb-workspaces is not installed; both are told to keep quiet."""
    import_wandb()
    try:
        import wandb_workspaces.workspaces  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"The dashboard needs wandb-workspaces ({error}). Install it: pip install wandb-workspaces"
        ) from None


def own_entity() -> str:
    """The entity that the key belongs to. Raises ConfigError where W&B does not say."""
    wandb = import_wandb()
    try:
        entity = wandb.Api().default_entity
    except (wandb.Error, ValueError, OSError) as error:
        raise ConfigError(f"W&B does not say whose the key is ({error}). Give entity=NAME.") from None
    if not entity:
        raise ConfigError("W&B knows no default entity of this key. Give entity=NAME.")
    return str(entity)


def heatmaps(collected: Path) -> dict[str, Path]:
    """ "ablation/heatmap_voltage" -> file, of the images that scripts/collect.py left in the folder. Raises DataError where
    there is none."""
    found = sorted([*collected.glob("*.png"), *collected.glob("figures/*.png")])
    if not found:
        raise DataError(f"collected={collected}: no images there. Make them with: python scripts/collect.py sweep=DIR")
    return {f"{PREFIX}{path.stem}": path for path in found}


def publish_collected(
    collected: Path, images: dict[str, Path], project: str, entity: str, group: str | None, online: bool
) -> str:
    """Put images and table of a collected sweep into one W&B run; done again, into the same one. Says where it is.

    Raises ConfigError where W&B cannot open it.
    """
    wandb = import_wandb()
    try:
        run = wandb.init(
            project=project, entity=entity or None, group=group, dir=str(collected), name=f"collected {collected.name}",
            id=hashlib.sha256(f"{project}/{collected}".encode()).hexdigest()[:8], resume="allow", job_type="collected",
            mode="online" if online else "offline", reinit="create_new", save_code=False,
            settings={"silent": True, "console": "off", "x_disable_stats": True},
        )  # fmt: skip
    except wandb.Error as error:
        raise ConfigError(f"W&B cannot open a run ({error}). Leave out --push to write it offline.") from None
    failed = True
    try:
        run.log({key: wandb.Image(str(path)) for key, path in images.items()})
        if (collected / TABLE).is_file():
            run.log({f"{PREFIX}table": wandb.Table(dataframe=pd.read_csv(collected / TABLE))})
        failed = False
    finally:
        run.finish(exit_code=int(failed))
    return str(run.url) if online else f"offline, upload with: wandb sync {collected / 'wandb'}"


def save(made: Any) -> str:
    """Send a workspace to W&B, which remembers its name and id in it. Returns its address.

    Raises ConfigError, with W&B's own words, where it refuses: no such entity or project, no right to write.
    """
    wandb = import_wandb()
    try:
        made.save()
        return str(made.url)
    except (wandb.Error, ValueError, OSError) as error:  # requests' own errors are OSErrors
        raise ConfigError(
            f"W&B does not take the dashboard of {made.entity or '?'}/{made.project} ({error}). Check project and entity: a "
            "project exists once a run is in it."
        ) from None
