"""All figures of a pulse run's part: `draw_pulses(part_dir, out_dir)`. Each reads what the run wrote, never a model."""

from pathlib import Path

from matplotlib.figure import Figure

from batgen.report.figures.pulse_attention import draw_pulse_attention
from batgen.report.figures.pulse_mape import draw_pulse_mape
from batgen.report.figures.pulse_overlay import draw_pulse_overlay
from batgen.report.figures.pulse_posterior import draw_pulse_posterior
from batgen.report.figures.pulse_training import draw_pulse_training
from batgen.report.figures.pulse_tsne import draw_pulse_tsne
from batgen.report.figures.pulse_voltage_error import draw_pulse_voltage_error
from batgen.report.figures.style import save
from batgen.report.pulse_part import Setting, read_pulse_part


def draw_pulses(part_dir: Path | str, out_dir: Path | str) -> list[Path]:
    """Draw what the part folder holds into PNG files in `out_dir`; the paths written.

    Figures of a setting (battery, calibration, prior) carry it in their name where there are several settings. A figure
    whose data is absent is left out. Raises DataError when a file of the part is absent or damaged.
    """
    part = read_pulse_part(Path(part_dir))
    settings = part.settings()
    figures: dict[str, Figure | None] = {}
    for setting in settings:
        end = _ending(setting, settings)
        figures[f"pulse_overlay{end}"] = draw_pulse_overlay(part, setting)
        figures[f"pulse_voltage_error{end}"] = draw_pulse_voltage_error(part, setting)
        for test_set in sorted(part.predictions["test_set"].unique()):
            where = "" if test_set == "grid" else f"_{test_set}"
            figures[f"pulse_mape{end}{where}"] = draw_pulse_mape(part, setting, test_set)
    # One map says how generated rows lie among measured ones; t-SNE is too slow for one of each setting.
    figures["pulse_tsne"] = draw_pulse_tsne(part, settings[0]) if settings else None
    figures["pulse_posterior"] = draw_pulse_posterior(part)
    figures["pulse_attention"] = draw_pulse_attention(part)
    figures["pulse_training"] = draw_pulse_training(part)
    return [save(figure, Path(out_dir) / f"{name}.png") for name, figure in figures.items() if figure is not None]


def _ending(setting: Setting, settings: list[Setting]) -> str:
    """What tells a setting's files from the others': "" for the only one, "_quantile_slope"."""
    parts = [
        getattr(setting, name)
        for name in ("battery", "calibration", "prior")
        if len({getattr(other, name) for other in settings}) > 1
    ]
    return "".join(f"_{part}" for part in parts)
