"""Figures of the pulse family, from a part folder with planted numbers; what is absent or damaged."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from batgen.errors import DataError
from batgen.report.figures.pulse_attention import draw_pulse_attention
from batgen.report.figures.pulse_mape import draw_pulse_mape
from batgen.report.figures.pulse_overlay import draw_pulse_overlay
from batgen.report.figures.pulse_posterior import draw_pulse_posterior
from batgen.report.figures.pulse_training import draw_pulse_training
from batgen.report.figures.pulse_tsne import draw_pulse_tsne
from batgen.report.figures.pulse_voltage_error import draw_pulse_voltage_error
from batgen.report.figures.pulses import draw_pulses
from batgen.report.pulse_part import read_pulse_part, soc_levels
from tests.report.fake_pulse_run import BATTERY, NONE, Setting, make_pulse_part

SLOPE = Setting(BATTERY, "quantile", "slope")
ALL = {"overlay", "voltage_error", "mape", "tsne", "posterior", "attention", "training"}


def test_all_figures(tmp_path: Path) -> None:
    paths = draw_pulses(make_pulse_part(tmp_path / "part"), tmp_path / "figures")
    assert {path.stem for path in paths} == {f"pulse_{name}" for name in ALL}
    for path in paths:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) > 10_000


def test_settings_have_files_of_their_own(tmp_path: Path) -> None:
    folder = make_pulse_part(tmp_path / "part", (SLOPE, NONE), cells=3, stages=2, draws=3, extras=False)
    names = [path.stem for path in draw_pulses(folder, tmp_path)]
    assert names == [
        "pulse_overlay_none_none", "pulse_voltage_error_none_none", "pulse_mape_none_none",
        "pulse_overlay_quantile_slope", "pulse_voltage_error_quantile_slope", "pulse_mape_quantile_slope", "pulse_tsne",
    ]  # fmt: skip


def test_battery_types_of_one_case_are_read_and_drawn_apart(tmp_path: Path) -> None:
    other = Setting("LMO_10Ah", "none", "none")
    folder = make_pulse_part(tmp_path / "part", (NONE, other), cells=3, stages=2, draws=3, extras=False)
    part = read_pulse_part(folder)
    assert {(rows.case, rows.setting.battery) for rows in part.generated} == {
        (case, battery) for case in ("case_1", "case_3") for battery in (BATTERY, "LMO_10Ah")
    }
    assert part.settings() == [NONE, other]
    names = {path.stem for path in draw_pulses(folder, tmp_path)}
    assert {"pulse_overlay_NMC_2.1Ah", "pulse_overlay_LMO_10Ah", "pulse_mape_LMO_10Ah"} <= names


def test_overlay_and_voltage_error_show_planted_errors(tmp_path: Path) -> None:
    part = read_pulse_part(make_pulse_part(tmp_path, cells=4, stages=2, extras=False))
    rows = part.generated[1]
    assert rows.case == "case_3"
    rows.generated_mean[:] = rows.measured + 0.002
    rows.generated_mean[:, 4] = rows.measured[:, 4] - 0.023
    part = replace(part, generated=[rows])
    figure = draw_pulse_overlay(part, NONE)
    assert figure is not None
    assert {note.get_text() for ax in figure.axes for note in ax.texts} == {"MAE 3 mV"}
    assert figure.axes[0].get_title(loc="left").startswith("SOC 10 %")
    figure = draw_pulse_voltage_error(part, NONE)
    assert figure is not None
    image = np.asarray(figure.axes[0].images[0].get_array())
    assert image.shape == (21, 7)
    assert image[4] == pytest.approx(np.full(7, 23.0))
    assert np.delete(image, 4, axis=0) == pytest.approx(np.full((20, 7), 2.0))
    assert draw_pulse_overlay(part, SLOPE) is None
    assert draw_pulse_voltage_error(part, SLOPE) is None


def test_mape_by_soc_is_that_of_the_predictions(tmp_path: Path) -> None:
    part = read_pulse_part(make_pulse_part(tmp_path, cells=4, stages=2, extras=False))
    table = part.predictions
    planted = table["soh"] * np.where(table["soc"] == 0.2, 1.05, 0.98)
    table = table.assign(estimate=table["estimate"].where(table["method"] != "inversion", planted))
    figure = draw_pulse_mape(replace(part, predictions=table), NONE)
    assert figure is not None
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    assert list(map(float, lines["inversion"].get_xdata())) == [15, 20, 25, 35, 45]  # type: ignore[arg-type]
    assert list(map(float, lines["inversion"].get_ydata())) == pytest.approx([2, 5, 2, 2, 2])  # type: ignore[arg-type]
    assert list(map(float, lines["training SOC"].get_xdata())) == pytest.approx([5, 10, 30, 40, 50])  # type: ignore[arg-type]
    assert next(iter(lines["published mean (paper split)"].get_ydata())) == 6.1  # type: ignore[arg-type]
    assert "inversion_soc_unknown" not in lines
    assert draw_pulse_mape(part, NONE, "random_soc") is None
    off_grid = draw_pulse_mape(replace(part, predictions=table.assign(test_set="random_soc")), NONE, "random_soc")
    assert off_grid is not None
    # What was published are the SOCs of the grid.
    assert not any("published" in str(line.get_label()) for line in off_grid.axes[0].lines)


def test_posterior_attention_training_and_what_is_absent(tmp_path: Path) -> None:
    part = read_pulse_part(make_pulse_part(tmp_path / "full", cells=4, stages=2))
    figure = draw_pulse_posterior(part)
    assert figure is not None
    truth = next(line for line in figure.axes[0].lines if line.get_label() == "true SOH")
    assert next(iter(truth.get_xdata())) == part.posterior["case_1"].soh[0]  # type: ignore[arg-type]
    alone = draw_pulse_posterior(replace(part, posterior={"case_3": part.posterior["case_3"]}))
    assert alone is not None
    assert sum(ax.get_visible() for ax in alone.axes) == 12
    figure = draw_pulse_attention(part)
    assert figure is not None
    assert np.asarray(figure.axes[0].images[0].get_array()) == pytest.approx(part.attention["case_1"].weight)
    figure = draw_pulse_training(part)
    assert figure is not None
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["loss", "KL [nat]"]
    assert len(figure.axes[1].lines) == 7
    bare = read_pulse_part(make_pulse_part(tmp_path / "bare", cells=2, stages=1, extras=False))
    assert (draw_pulse_posterior(bare), draw_pulse_attention(bare), draw_pulse_training(bare)) == (None, None, None)
    # 2 cells x 5 SOCs suffice for a map, 1 cell x 7 does not.
    few = replace(
        bare, generated=[replace(r, measured=r.measured[:7], generated=r.generated[:, :7]) for r in bare.generated]
    )
    assert draw_pulse_tsne(few, NONE) is None
    assert draw_pulse_tsne(bare, NONE) is not None


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_missing_numbers_and_draws_are_drawn_around(tmp_path: Path) -> None:
    part = read_pulse_part(make_pulse_part(tmp_path, cells=4, stages=2))
    table = part.predictions.assign(estimate=part.predictions["estimate"].where(part.predictions["soc"] != 0.2))
    part.posterior["case_1"].density[0] = 0
    part = replace(part, predictions=table, generated=[replace(r, generated=r.generated[:0]) for r in part.generated])
    assert draw_pulse_overlay(part, NONE) is not None
    assert draw_pulse_mape(part, NONE) is not None
    assert draw_pulse_posterior(part) is not None
    assert draw_pulse_tsne(part, NONE) is None


def test_words_of_ours_are_read_as_words(tmp_path: Path) -> None:
    """`none` is not missing, a cell may be called NA or 007."""
    folder = make_pulse_part(tmp_path, cells=2, stages=1, extras=False)
    lines = (folder / "predictions.csv").read_text(encoding="utf-8").replace(",D1,", ",NA,").replace(",D2,", ",007,")
    (folder / "predictions.csv").write_text(lines, encoding="utf-8")
    part = read_pulse_part(folder)
    assert set(part.predictions["cell_id"]) == {"NA", "007"}
    assert part.settings() == [NONE]
    with_interval = part.predictions[part.predictions["low"].notna()]
    assert set(with_interval["method"]) == {"inversion", "inversion_soc_unknown"}
    assert soc_levels(np.array([0.05, 0.333])).tolist() == [5, 33]
    assert set(soc_levels(np.linspace(0.05, 0.5, 90))) == set(range(5, 51, 5))


@pytest.mark.parametrize("name", ["predictions.csv", "pulses.h5", "metrics.json"])
def test_absent_or_damaged_files_are_one_clear_error(tmp_path: Path, name: str) -> None:
    folder = make_pulse_part(tmp_path / "part", cells=2, stages=1, extras=False)
    (folder / name).write_bytes(b"\x00 nothing of ours")
    with pytest.raises(DataError, match=rf"{name} cannot be read as a file of a pulse run"):
        read_pulse_part(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} cannot be read"):
        draw_pulses(folder, tmp_path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    folder = make_pulse_part(tmp_path, cells=2, stages=1, extras=False)
    read_pulse_part(folder).predictions.drop(columns="estimate").to_csv(folder / "predictions.csv", index=False)
    with pytest.raises(DataError, match=r"predictions\.csv .*no column estimate"):
        read_pulse_part(folder)
    make_pulse_part(folder, cells=2, stages=1, extras=False)
    with h5py.File(folder / "pulses.h5", "a") as file:
        del file[f"case/case_1/none/none/{BATTERY}/soh"]
    with pytest.raises(DataError, match=r"pulses\.h5"):
        read_pulse_part(folder)
    make_pulse_part(folder, cells=2, stages=1, extras=False)
    (folder / "metrics.json").write_text(json.dumps([1]), encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics\.json"):
        read_pulse_part(folder)


def test_figures_leave_backend_and_sklearn_alone() -> None:
    code = "import batgen.report.figures.pulses, sys; sys.exit('matplotlib.pyplot' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
