"""All figures of a sequence run's part: `draw(part_folder, figures_folder)`. They read what the run wrote, never a model."""

from pathlib import Path

from matplotlib.figure import Figure

from batgen.report.figures.sequence_attention import draw_attention
from batgen.report.figures.sequence_calibration import draw_calibration
from batgen.report.figures.sequence_covariates import draw_covariates
from batgen.report.figures.sequence_eol import draw_eol
from batgen.report.figures.sequence_fan import draw_fan
from batgen.report.figures.sequence_horizon import draw_horizon
from batgen.report.figures.sequence_intervals import draw_intervals
from batgen.report.figures.sequence_losses import draw_losses
from batgen.report.figures.sequence_pit import draw_pit
from batgen.report.figures.sequence_predicted import draw_predicted
from batgen.report.figures.sequence_saliency import draw_saliency
from batgen.report.figures.style import save
from batgen.report.sequence_read import Scene, SequencePart, read_sequence_part


def draw(part_folder: Path | str, figures_folder: Path | str) -> list[Path]:
    """Draw what the part folder holds into PNG files in `figures_folder`; the paths written, the forecast fan first.

    Fans of further targets carry the target in their name; figures of further test sets and cuts carry these, such as
    sequence_fan_secondary_30.png. A figure whose data is absent is left out. Raises DataError when a file of the part
    is absent or damaged.
    """
    part = read_sequence_part(Path(part_folder))
    figures: dict[str, Figure | None] = {}
    scenes, targets = part.scenes(), part.targets()
    for scene in scenes:
        for target in targets:
            further = "" if target == targets[0] else f"_{target}"
            figures[f"sequence_fan{further}{_ending(part, scene)}"] = draw_fan(part, scene, target)
    for scene in scenes:
        figures[f"predicted_against_actual{_ending(part, scene)}"] = draw_predicted(part, scene)
        figures[f"intervals_over_cycles{_ending(part, scene)}"] = draw_intervals(part, scene)
    figures["calibration"] = draw_calibration(part)
    figures["pit"] = draw_pit(part)
    figures["error_by_horizon"] = draw_horizon(part, targets[0])
    figures["eol"] = draw_eol(part)
    figures["losses"] = draw_losses(part)
    figures["covariates"] = draw_covariates(part)
    figures["attention"] = draw_attention(part)
    figures["saliency"] = draw_saliency(part)
    folder = Path(figures_folder)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items() if figure is not None]


def _ending(part: SequencePart, scene: Scene) -> str:
    return "" if scene == part.scenes()[0] else f"_{scene.test_set}_{scene.cut}"
