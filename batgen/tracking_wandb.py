"""A finished part in its W&B run: tables, images, main numbers, and the weights where they are asked for.

Keys: the tables `metrics` and `samples`, the images `figures/<name>` and `figures/samples`, in the summary
`test/<metric>/<signal>`, best_score and the like, in the config model_name, data_hash and parameters.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from batgen import checkpoint
from batgen.report.examples import examples_table
from batgen.report.figures.examples import draw_examples
from batgen.report.figures.style import save
from batgen.report.published import read_published
from batgen.training.loggers import STEP
from batgen.training.wandb_online import import_wandb
from batgen.training.wandb_runs import MODEL, PartRun, class_name, keep_losses_sent, losses_sent


def publish_wandb(one: PartRun, conf: Mapping[str, Any], figures: Sequence[Path]) -> None:
    """Everything of the part that is on disk, and `figures` (PNG). Raises DataError where a file of the part is damaged."""
    wandb, run, found = import_wandb(), one.run, read_published(one.part)
    run.config.update({MODEL: found.model(), **model_facts(one.part)}, allow_val_change=True)
    run.tags = tuple(found.model() if tag == class_name(conf) else tag for tag in run.tags or ())
    if found.losses is not None and not losses_sent(one.part):
        for row in found.losses.to_dict("records"):
            run.log({**row, STEP: row["epoch"]})
        keep_losses_sent(one.part)
    content: dict[str, Any] = {"metrics": _table(wandb, found.metrics)}
    content |= {f"figures/{path.stem}": wandb.Image(str(path)) for path in figures}
    if (drawn := draw_examples(found.examples, found.title())) is not None:
        content["samples"] = _table(wandb, examples_table(found.examples))
        content["figures/samples"] = wandb.Image(str(save(drawn, one.part / "samples.png")))
    run.log(content)
    run.summary.update({**{f"test/{name}": value for name, value in found.main.items()}, **found.training})
    if one.settings.checkpoint and one.settings.mode != "disabled":
        weights = wandb.Artifact(f"model-{run.id}", type="model", metadata=found.main)
        for path in checkpoints(one.part):  # the file itself, not a copy of it in a folder of wandb's
            weights.add_file(str(path), name=path.relative_to(one.part).as_posix(), policy="immutable")
        run.log_artifact(weights, aliases=["best"])


def checkpoints(part: Path) -> list[Path]:
    """The models of a part: one, or one a fold."""
    return sorted([*part.glob("model.ckpt"), *part.glob("models/*.ckpt")])


def model_facts(part: Path) -> dict[str, Any]:
    """data_hash, and parameters: the number of weights of one model of the part."""
    for path in checkpoints(part):
        trained = checkpoint.load(path)
        count = sum(weight.numel() for weight in trained.model.parameters())
        return {"data_hash": trained.facts["data_hash"], "parameters": count}
    return {}


def _table(wandb: Any, table: pd.DataFrame) -> Any:
    """A W&B table; what is not known is None there."""
    plain = table.astype(object).where(table.notna(), None)
    return wandb.Table(columns=list(plain), data=plain.to_numpy().tolist(), allow_mixed_types=True)
