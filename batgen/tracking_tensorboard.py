"""A finished part in TensorBoard, beside the scalars of its training: config, metric table, figures and examples."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from matplotlib.image import imread

from batgen.files import write_json
from batgen.report.figures.examples import draw_examples
from batgen.report.figures.style import save
from batgen.report.published import Published, read_published
from batgen.tracking_wandb import model_facts

#: In the folder of a part: all that it leaves is in its event files.
_DONE = "tensorboard.json"


def published(part: Path) -> bool:
    """Whether this was done before, by an earlier call too."""
    return (part / _DONE).is_file()


def publish_tensorboard(part: Path, conf: Mapping[str, Any], figures: Sequence[Path]) -> None:
    """Into FOLDER/tensorboard/PART. Raises DataError where a file of the part is damaged."""
    from torch.utils.tensorboard import SummaryWriter

    found, about = read_published(part), {**conf, **model_facts(part)}
    images = list(figures)
    if (drawn := draw_examples(found.examples, found.title())) is not None:
        images.append(save(drawn, part / "samples.png"))
    with SummaryWriter(str(part.parent / "tensorboard" / part.name)) as writer:
        writer.add_text("config", indent(json.dumps(about, indent=1, default=str), "    "))  # markdown for code
        writer.add_text("metrics", found.markdown())
        for path in images:
            writer.add_image(f"figures/{path.stem}", imread(path)[..., :3], dataformats="HWC")
        for row in found.losses.to_dict("records") if found.losses is not None else []:
            for name, value in row.items():
                writer.add_scalar(name, value, int(row["epoch"]))
        _hparams(writer, about, found)
    write_json(part / _DONE, {"finished": True})


def _hparams(writer: Any, about: Mapping[str, Any], found: Published) -> None:
    """The tab of settings against main numbers, in this event file: `add_hparams` would begin a run of its own."""
    from torch.utils.tensorboard.summary import hparams

    numbers = {f"test/{name}": value for name, value in found.main.items()}
    settings = {name: value for name, value in _flat(about) if isinstance(value, bool | int | float | str)}
    for summary in hparams(settings, numbers):
        writer.file_writer.add_summary(summary)
    for name, value in numbers.items():
        writer.add_scalar(name, value, 0)


def _flat(node: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """("model.hidden", 64) for every leaf of a nested mapping."""
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        found += _flat(value, f"{path}{key}.") if isinstance(value, Mapping) else [(f"{path}{key}", value)]
    return found
