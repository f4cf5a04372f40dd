"""Figures of the profiles family, from a part folder with planted numbers; what is absent or damaged."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from batgen.errors import DataError
from batgen.report.figures.profile_cycles import draw_cycles
from batgen.report.figures.profile_health import draw_health
from batgen.report.figures.profile_overlay import draw_overlay
from batgen.report.figures.profile_peaks import draw_peaks
from batgen.report.figures.profile_permutation import draw_permutation
from batgen.report.figures.profile_physics import draw_physics
from batgen.report.figures.profile_sweep import draw_sweep
from batgen.report.profile_part import draw
from batgen.report.profile_read import ProfilePart, peaks, read_profile_part
from tests.report.profile_folder import CONDITIONS, T, V, fake_records, make_profile_part

SWEEPS = {"profile_sweep_ecl", "profile_sweep_ambient_degC", "profile_sweep_c_rate"}
FIGURES = SWEEPS | {
    "profile_overlay", "profile_peaks", "profile_peaks_by_cycle", "profile_health", "profile_statistics",
    "profile_permutation", "profile_physics",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_profile_part(tmp_path_factory.mktemp("run") / "honest-seed0")


@pytest.fixture(scope="module")
def part(folder: Path) -> ProfilePart:
    return read_profile_part(folder)


def made(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def panels(figure: Figure) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]


def test_all_figures_the_overlay_first(folder: Path, tmp_path: Path) -> None:
    paths = draw(folder, tmp_path)
    assert paths[0].name == "profile_overlay.png"
    assert {path.stem for path in paths} == FIGURES
    for path in paths:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size > 10_000


def test_a_poor_part_draws_what_it_holds(tmp_path: Path) -> None:
    # A deterministic model, nothing but the necessary files, an empty metrics.json.
    folder = make_profile_part(tmp_path / "part", extras=False)
    (folder / "metrics.json").write_text('{"rows": []}', encoding="utf-8")
    names = {path.stem for path in draw(folder, tmp_path)}
    assert names == {"profile_overlay", "profile_peaks", "profile_peaks_by_cycle"}


def test_fixed_steps_with_voltage_first_and_temperature_in_front(tmp_path: Path) -> None:
    folder = make_profile_part(tmp_path / "part", step_s=100.0, signals=(V, T), peak_after_s=600.0, extras=False)
    part = read_profile_part(folder)
    assert part.signals == (T, V)
    assert not part.measured.mask.all()
    names = [path.stem for path in draw(folder, tmp_path)]
    assert names[:2] == ["profile_overlay", f"profile_overlay_{V}"]
    # Lines end where their record does, in minutes.
    figure = made(draw_overlay(part, V))
    (end,) = {max(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_label() == "cycle 1"}
    assert end == pytest.approx(part.measured.time_s[0][part.measured.mask[0]].max() / 60)


def test_peaks_count_from_a_time_on_and_within_the_profile(tmp_path: Path) -> None:
    records = fake_records(2, 3)
    for record in records:
        record[T] = 40.0 - record["time_s"] / 600  # cools all the way, 10 s a point
    part = read_profile_part(make_profile_part(tmp_path / "part", records, step_s=100.0, extras=False))
    assert peaks(part.measured, 0.0) == pytest.approx(40.0)
    assert peaks(part.measured, 600.0) == pytest.approx(39.0)
    assert np.isnan(peaks(part.measured, 1e6)).all()


def test_overlay_has_a_panel_a_cell_and_protocol_those_apart_last(tmp_path: Path) -> None:
    records = fake_records(3, 9)
    for record in records[:5]:
        record.update(protocol="44 degC, 0.5 C")
    for record in records[18:]:
        record.update(test_set="apart", cell_id="A0001")
    figure = made(draw_overlay(read_profile_part(make_profile_part(tmp_path / "part", records)), T))
    assert panels(figure) == [
        "B0005, 24 °C, 1.0 C", "B0005, 44 °C, 0.5 C", "B0006, 43 °C, 2.0 C", "A0001 (apart), 24 °C, 1.0 C",
    ]  # fmt: skip
    thick = [line for line in figure.axes[2].get_lines() if str(line.get_label()).startswith("cycle")]
    assert [line.get_label() for line in thick] == ["cycle 2", "cycle 6", "cycle 8"]  # kept rows are every other one


def test_overlay_keeps_a_panel_of_every_cell_when_there_are_too_many(tmp_path: Path) -> None:
    records = fake_records(11, 4)
    for place, record in enumerate(records):
        record["protocol"] = f"p{place % 2}"
    figure = made(draw_overlay(read_profile_part(make_profile_part(tmp_path / "part", records, extras=False)), T))
    cells = [title.partition(",")[0] for title in panels(figure)]
    assert len(cells) == 12
    assert set(cells) == {record["cell_id"] for record in records}


def test_peaks_show_the_best_baseline_and_the_error_of_the_metrics(part: ProfilePart) -> None:
    assert part.baselines() == ["protocol_cycle_mean", "mean_curve"]
    figure = made(draw_peaks(part))
    assert panels(figure) == ["wgan_gp: MAE 1 °C", "protocol_cycle_mean: MAE 1.20 °C"]
    cells = len(part.rows["cell_id"].unique())
    dots = [line for line in figure.axes[0].get_lines() if not str(line.get_label()).startswith("_")]
    assert len(dots) == cells
    figure = made(draw_cycles(part))
    lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in figure.axes[0].get_lines()}
    table = part.features[(part.features["cell_id"] == "B0005") & (part.features["feature"] == "peak_temperature_degC")]
    assert lines["measured"] == pytest.approx(table[table["method"] == "wgan_gp"]["measured"].to_numpy())
    assert lines["protocol_cycle_mean"] == pytest.approx(
        table[table["method"] == "protocol_cycle_mean"]["predicted"].to_numpy()
    )


def test_health_marks_the_chosen_step_of_each_fold_and_leaves_out_what_was_not_logged(part: ProfilePart) -> None:
    figure = made(draw_health(part))
    assert [t for t in panels(figure) if t] == ["fold0, chosen step 1400", "fold1, chosen step 1400"]
    assert len(figure.axes) == 6 * 2
    marks = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "--"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in marks] == [1400.0]
    # A critic without an accuracy, and no physics: two rows less.
    few = {
        name: t.assign(discriminator_accuracy=np.nan).filter(regex="^(?!physics)") for name, t in part.health.items()
    }
    assert len(made(draw_health(replace(part, health=few))).axes) == 4 * 2
    assert draw_health(replace(part, health={})) is None


def test_health_of_a_search_and_of_the_training_after_it_share_a_column(part: ProfilePart) -> None:
    search = part.health["fold0"]
    again = search[search["step"] <= 1400].assign(generator_loss=9.0).filter(regex="^(?!val_)")
    figure = made(draw_health(replace(part, health={"fold0": again, "fold0_search": search})))
    assert len(figure.axes) == 6
    assert panels(figure)[0] == "fold0, chosen step 1400; thin: trained anew on all cells"
    lines = [line for line in figure.axes[0].get_lines() if (np.asarray(line.get_ydata()) == 9.0).all()]
    assert [(line.get_linewidth(), str(line.get_label())[0]) for line in lines] == [(0.6, "_")]


def test_sweep_marks_what_lies_beyond_training(part: ProfilePart) -> None:
    (sweep,) = [s for s in part.sweeps if s.condition == "ambient_degC"]
    assert (sweep.low, sweep.high) == (24.0, 43.0)
    figure = made(draw_sweep(part, sweep))
    left, right = figure.axes[:2]
    assert left.get_xlabel() == "Time [min]"
    assert right.get_xlabel() == "Ambient [°C]"
    lines = {str(line.get_label()): line for line in right.get_lines()}
    outside = np.asarray(lines["beyond training"].get_xdata())
    assert ((outside < 24) | (outside > 43)).all()
    assert len(outside) == np.sum(~sweep.inside) > 0
    family = [line for line in left.get_lines() if line.get_linewidth() == 1.5 and len(np.asarray(line.get_xdata()))]
    assert [line.get_linestyle() == "-" for line in family] == sweep.inside.tolist()
    # Rows are test and training rows at once here, and dots but once.
    dots = len(np.asarray(lines["measured"].get_xdata())) + len(np.asarray(lines["measured, nearest"].get_xdata()))
    assert dots == len(part.rows)
    # The other conditions are held, so what is nearest to a record at 1 C are records at 1 C.
    near = np.asarray(lines["measured, nearest"].get_xdata())
    assert np.mean(near == 24.0) > 0.7


def test_sweep_of_a_condition_that_no_table_has_and_wholly_inside(part: ProfilePart) -> None:
    sweep = replace(part.sweeps[0], condition="chemistry=LFP", low=-1e9, high=1e9)
    lines = {str(line.get_label()) for line in made(draw_sweep(part, sweep)).axes[1].get_lines()}
    assert "beyond training" not in lines
    assert "measured" not in lines


def test_permutation_says_what_is_not_learnt_or_constant(part: ProfilePart) -> None:
    figure = made(draw_permutation(part))
    assert panels(figure) == ["peak temperature, MAE", "energy score"]
    said = [text.get_text().strip() for text in figure.axes[0].texts]
    assert said == ["not learnt", "constant in training"]
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches]
    assert ends == pytest.approx([2.4, 1.3, 1.001])


def test_physics_bars_are_the_pass_rates(part: ProfilePart) -> None:
    figure = made(draw_physics(part))
    heights = {str(bars.get_label()): [bar.get_height() for bar in bars] for bars in figure.axes[0].containers}
    assert heights["measured"] == pytest.approx([98, 96])
    assert heights["wgan_gp"] == pytest.approx([97, 81])
    assert list(heights) == ["measured", "wgan_gp", "protocol_cycle_mean", "mean_curve"]
    assert draw_physics(replace(part, metrics=[])) is None


_FILES = "rows.csv train_rows.csv profiles.h5 features.csv metrics.json health_fold0.csv permutation.csv"


@pytest.mark.parametrize("name", _FILES.split())
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder, tmp_path / "part")
    (tmp_path / "part" / name).write_bytes((folder / name).read_bytes()[:3])
    with pytest.raises(DataError, match=f"{name} cannot be read as a file of a profiles run"):
        read_profile_part(tmp_path / "part")


def test_files_that_do_not_fit_each_other_are_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "part"))
    rows = pd.read_csv(copy / "rows.csv")
    rows.iloc[1:].to_csv(copy / "rows.csv", index=False)
    with pytest.raises(DataError, match=r"profiles\.h5 .*measured/curves has the shape .*where rows\.csv says \(47,\)"):
        read_profile_part(copy)
    rows.drop(columns="protocol").to_csv(copy / "rows.csv", index=False)
    with pytest.raises(DataError, match=r"rows\.csv .*no column protocol"):
        read_profile_part(copy)
    rows.to_csv(copy / "rows.csv", index=False)
    with h5py.File(copy / "profiles.h5", "a") as file:
        file["kept"][0] = 48
    with pytest.raises(DataError, match="kept names the row 48"):
        read_profile_part(copy)


def test_a_cell_named_na_stays_and_conditions_are_numbers(tmp_path: Path) -> None:
    records = fake_records(2, 4)
    for record in records[4:]:
        record["cell_id"] = "NA"
    part = read_profile_part(make_profile_part(tmp_path / "part", records))
    assert set(part.rows["cell_id"]) == {"B0005", "NA"}
    assert set(part.features["cell_id"]) == {"B0005", "NA"}
    assert all(part.rows[name].dtype.kind in "if" for name in CONDITIONS)


def test_drawing_loads_no_model() -> None:
    code = (
        "import sys, batgen.report.profile_part; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
