"""All figures of a part: `draw_all(part_dir, out_dir)`. Each reads what the run wrote and draws without a model."""

from pathlib import Path

from batgen.report.figures.embedding import draw_embedding
from batgen.report.figures.errors import draw_errors
from batgen.report.figures.fade import draw_fade
from batgen.report.figures.images import draw_capacity_images, draw_rgb_images
from batgen.report.figures.overlay import draw_overlay
from batgen.report.figures.style import save
from batgen.report.figures.training import draw_training
from batgen.report.part import read_epochs, read_part


def draw_all(part_dir: Path | str, out_dir: Path | str) -> list[Path]:
    """Draw what `part_dir`'s samples.h5 and metrics.csv hold into PNG files in `out_dir`; the paths written.

    A figure whose data is absent is left out. Raises DataError when samples.h5 is absent or damaged.
    """
    part = read_part(Path(part_dir))
    figures = {
        "overlay": draw_overlay(part),
        "errors": draw_errors(part),
        "images_capacity": draw_capacity_images(part),
        "images_rgb": draw_rgb_images(part),
        "embedding": draw_embedding(part),
        "fade": draw_fade(part),
        "training": draw_training(read_epochs(Path(part_dir)), part.title()),
    }
    return [save(figure, Path(out_dir) / f"{name}.png") for name, figure in figures.items() if figure is not None]
