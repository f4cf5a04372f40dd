"""All figures of a profiles run's part: `draw(part_folder, figures_folder)`. They read what the run wrote, never a model."""

from pathlib import Path

from matplotlib.figure import Figure

from batgen.report.figures.profile_cycles import draw_cycles
from batgen.report.figures.profile_health import draw_health
from batgen.report.figures.profile_overlay import draw_overlay
from batgen.report.figures.profile_peaks import draw_peaks
from batgen.report.figures.profile_permutation import draw_permutation
from batgen.report.figures.profile_physics import draw_physics
from batgen.report.figures.profile_statistics import draw_statistics
from batgen.report.figures.profile_sweep import draw_sweep
from batgen.report.figures.style import save
from batgen.report.profile_read import read_profile_part


def draw(part_folder: Path | str, figures_folder: Path | str) -> list[Path]:
    """Draw what the part folder holds into PNG files in `figures_folder`; the paths written, the overlay first.

    Overlays of further signals carry the signal in their name, such as profile_overlay_voltage_V.png; sweeps their
    condition, such as profile_sweep_ambient_degC.png. A figure whose data is absent is left out. Raises DataError when a
    file of the part is absent or damaged.
    """
    part = read_profile_part(part_folder)
    figures: dict[str, Figure | None] = {}
    for signal in part.signals:
        figures["profile_overlay" if signal == part.signals[0] else f"profile_overlay_{signal}"] = draw_overlay(
            part, signal
        )
    figures["profile_peaks"] = draw_peaks(part)
    figures["profile_peaks_by_cycle"] = draw_cycles(part)
    figures["profile_health"] = draw_health(part)
    for sweep in part.sweeps:
        figures[f"profile_sweep_{sweep.condition}"] = draw_sweep(part, sweep)
    figures["profile_statistics"] = draw_statistics(part)
    figures["profile_permutation"] = draw_permutation(part)
    figures["profile_physics"] = draw_physics(part)
    folder = Path(figures_folder)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items() if figure is not None]
