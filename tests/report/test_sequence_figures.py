"""Figures of the sequence family, from a part folder with planted numbers; what is absent or damaged."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from batgen.errors import DataError
from batgen.report.figures.sequence_calibration import draw_calibration
from batgen.report.figures.sequence_eol import draw_eol
from batgen.report.figures.sequence_fan import draw_fan
from batgen.report.figures.sequence_horizon import draw_horizon
from batgen.report.figures.sequence_losses import draw_losses
from batgen.report.figures.sequence_predicted import draw_predicted
from batgen.report.sequence_part import draw
from batgen.report.sequence_read import SequencePart, read_sequence_part
from tests.report.fake_sequence_run import CAPACITY, DROP, LEVELS, NOMINAL, make_sequence_part

FIGURES = {
    "sequence_fan", f"sequence_fan_{DROP}", "predicted_against_actual", "intervals_over_cycles", "calibration", "pit",
    "error_by_horizon", "eol", "losses", "covariates", "attention", "saliency",
}  # fmt: skip
FURTHER = {"sequence_fan", f"sequence_fan_{DROP}", "predicted_against_actual", "intervals_over_cycles"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sequence_part(tmp_path_factory.mktemp("run") / "honest-seed0", cells=12)


@pytest.fixture(scope="module")
def part(folder: Path) -> SequencePart:
    return read_sequence_part(folder)


def change(folder: Path, name: str, **columns: Any) -> None:
    table = pd.read_csv(folder / name).assign(**columns)
    table.to_csv(folder / name, index=False)


def test_all_figures_the_fan_first(folder: Path, tmp_path: Path) -> None:
    paths = draw(folder, tmp_path)
    further = {f"{name}_{end}" for name in FURTHER for end in ("test_30", "secondary_100", "secondary_30")}
    assert paths[0].name == "sequence_fan.png"
    assert {path.stem for path in paths} == FIGURES | further
    for path in paths:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size > 10_000


def test_a_poor_part_draws_what_it_holds(tmp_path: Path) -> None:
    # Two cells that never end, one level, no baseline: as the two staged cells of calce may leave.
    folder = make_sequence_part(tmp_path / "part", 2, (30,), ("test",), conformal=False, extras=False)
    table = pd.read_csv(folder / "forecasts.csv.gz").drop(columns=["q0.1", "q0.9"])
    table[table["method"] == "model"].to_csv(folder / "forecasts.csv.gz", index=False)
    change(folder, "cells.csv", eol_cycle=np.nan)
    names = {path.stem for path in draw(folder, tmp_path)}
    assert names == {"sequence_fan", f"sequence_fan_{DROP}", "predicted_against_actual", "error_by_horizon"}


def test_the_longest_cut_of_the_test_cells_comes_first(part: SequencePart) -> None:
    assert [(s.test_set, s.cut) for s in part.scenes()] == [
        ("test", "100"), ("test", "30"), ("secondary", "100"), ("secondary", "30"),
    ]  # fmt: skip


def test_validation_cells_only_where_nothing_else_is(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 4, (30,), ("val", "oxford"), extras=False)
    assert [s.test_set for s in read_sequence_part(folder).scenes()] == ["oxford"]
    change(folder, "forecasts.csv.gz", test_set="val")
    assert [s.test_set for s in read_sequence_part(folder).scenes()] == ["val"]


def test_cells_cut_at_other_cycle_numbers_share_a_scene(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 4, (30, 100), ("test",), extras=False)
    table = pd.read_csv(folder / "forecasts.csv.gz")
    table.loc[(table["cell_id"] == "b1/c0") & (table["cut_cycle"] == 100), "cut_cycle"] = 97
    table.to_csv(folder / "forecasts.csv.gz", index=False)
    scenes = read_sequence_part(folder).scenes()
    assert [s.cut for s in scenes] == ["97-100", "30"]


def test_capacity_is_shown_in_percent_and_a_drop_in_mV(part: SequencePart) -> None:
    scene = part.scenes()[0]
    written = part.forecasts[(part.forecasts["target"] == CAPACITY) & (part.forecasts["place"] == scene.place)]
    shown = part.shown(scene, CAPACITY, "model")
    row = shown.iloc[0]
    same = written[(written["cell_id"] == row["cell_id"]) & (written["method"] == "model")].iloc[0]
    assert row["median"] == pytest.approx(100 * same["q0.5"] / NOMINAL)
    assert row["high"] == pytest.approx(100 * same["q0.9"] / NOMINAL)
    assert row["ahead"] == 1
    assert part.label(CAPACITY) == "Discharge capacity [% of nominal]"
    assert part.label(DROP) == "Relaxation voltage drop [mV]"
    assert part.label("coulombic_efficiency") == "Coulombic efficiency"
    assert part.shown(scene, DROP, "model")["median"].iloc[0] > 20


def test_median_without_its_level_lies_between_the_levels_beside_it(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 3, (30,), ("test",), extras=False)
    table = (
        pd.read_csv(folder / "forecasts.csv.gz").rename(columns={"q0.1": "q0.4", "q0.9": "q0.8"}).drop(columns="q0.5")
    )
    table[table["method"] == "model"].to_csv(folder / "forecasts.csv.gz", index=False)
    part = read_sequence_part(folder)
    row = part.shown(part.scenes()[0], CAPACITY, "model").iloc[0]
    assert row["median"] == pytest.approx(row["q0.4"] + 0.25 * (row["q0.8"] - row["q0.4"]))
    assert part.band() == "40–80 %"


def test_fan_panels_hold_what_was_given_and_the_two_best_baselines(part: SequencePart) -> None:
    figure = draw_fan(part, part.scenes()[0], CAPACITY)
    assert figure is not None
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == 6
    lines = {str(line.get_label()): line for line in shown[0].get_lines()}
    assert np.asarray(lines["given to the model"].get_xdata()).max() <= 100
    assert np.asarray(lines["measured"].get_xdata()).min() == 101
    assert "nearest held" in lines
    assert "persistence" not in lines
    last = part.cells.loc["b1/c0", "last_cycle"]
    assert shown[0].get_xlim()[1] == pytest.approx(1.25 * last)


def test_masked_outliers_are_crosses_inside_the_axes(part: SequencePart) -> None:
    figure = draw_fan(part, part.scenes()[0], CAPACITY)
    assert figure is not None
    ax = figure.axes[-1]
    crosses = next(line for line in ax.get_lines() if line.get_label() == "masked outliers")
    y = np.asarray(crosses.get_ydata())
    assert len(y) > 0
    assert ((y > ax.get_ylim()[0]) & (y < ax.get_ylim()[1])).all()


def test_end_of_life_of_flat_forecasts_is_said(part: SequencePart) -> None:
    # Every eleventh forecast is flat: cell 10, of the test cells; the censored one is among the secondary cells.
    figure = draw_eol(part)
    assert figure is not None
    said = [ax.texts[0].get_text() for ax in figure.axes]
    assert "never reached: 1 of 6" in said[0]
    assert "record ends before" not in said[0]
    assert "never reached: 0 of 5" in said[2]
    assert "not drawn, record ends before: 1" in said[2]


def test_test_cells_without_calibration_keep_their_own_interval(tmp_path: Path) -> None:
    # Too few validation cells at one cut: nothing is calibrated there.
    folder = make_sequence_part(tmp_path / "part", 4, (30, 100), ("test",), extras=False)
    table = pd.read_csv(folder / "forecasts.csv.gz")
    gone = (table["method"] == "model, conformal") & (table["cut_cycle"] == 30)
    table[~gone].to_csv(folder / "forecasts.csv.gz", index=False)
    part = read_sequence_part(folder)
    assert [part.own_method(scene, CAPACITY) for scene in part.scenes()] == ["model, conformal", "model"]
    figure = draw_eol(part)
    assert figure is not None
    assert len(figure.axes) == 2
    assert draw_fan(part, part.scenes()[1], CAPACITY) is not None


def test_calibration_tells_coverage_before_and_after(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 4, (100,), ("test",), extras=False)
    table = pd.read_csv(folder / "forecasts.csv.gz")
    own, conformal = table["method"] == "model", table["method"] == "model, conformal"
    # One cell wholly inside, three outside; after calibration all inside.
    inside = table["cell_id"] == "b1/c0"
    table.loc[own, "q0.1"] = table["truth"].where(inside, table["truth"] + 0.01)[own] - 0.001
    table.loc[own, "q0.9"] = table["truth"].where(inside, table["truth"] + 0.01)[own] + 0.001
    table.loc[conformal, "q0.1"], table.loc[conformal, "q0.9"] = 0.0, 2.0
    table.to_csv(folder / "forecasts.csv.gz", index=False)
    figure = draw_calibration(read_sequence_part(folder))
    assert figure is not None
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said[0].startswith("as trained")
    assert said[0].endswith("10–90 % holds 25 %")
    assert said[1].startswith("conformal")
    assert said[1].endswith("10–90 % holds 100 %")


def test_errors_in_figures_are_those_of_the_metrics(part: SequencePart) -> None:
    # The planted rows are of the test cells and the cut 100: 2 % of nominal, 6 mV, 60 cycles.
    figures = [draw_predicted(part, scene) for scene in part.scenes()[:2]]
    titles = [
        [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")] for figure in figures if figure
    ]
    assert titles[0] == ["RMSE 2 % of nominal, mean over 6 cells", "RMSE 6 mV, mean over 6 cells"]
    assert titles[1] == ["6 cells", "6 cells"]
    figure = draw_eol(part)
    assert figure is not None
    said = [ax.texts[0].get_text() for ax in figure.axes]
    assert "median error 60 cycles" in said[0]
    assert "median error" not in said[1]


def test_error_by_horizon_is_the_mean_over_cells(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 3, (100,), ("test",), extras=False)
    table = pd.read_csv(folder / "forecasts.csv.gz")
    off = table["cell_id"].map({"b1/c0": 0.0, "b2/c1": 0.011, "b3/c2": 0.022})
    table.assign(**{"q0.5": table["truth"] + off}).to_csv(folder / "forecasts.csv.gz", index=False)
    figure = draw_horizon(read_sequence_part(folder), CAPACITY)
    assert figure is not None
    curve = next(line for line in figure.axes[0].get_lines() if line.get_label() == "model")
    assert np.asarray(curve.get_ydata())[0] == pytest.approx(1.0)


def test_losses_mark_the_best_epoch_and_need_two(folder: Path, part: SequencePart) -> None:
    figure = draw_losses(part)
    assert figure is not None
    assert part.losses is not None
    best = part.losses["epoch"][part.losses["val_loss"].idxmin()]
    labels = [str(line.get_label()) for line in figure.axes[0].get_lines()]
    assert any(f"epoch {best}" in label for label in labels)
    assert draw_losses(replace(part, losses=part.losses.head(1))) is None


def test_every_fold_has_its_losses_over_epochs_without_validation(part: SequencePart) -> None:
    assert part.losses is not None
    folds = [part.losses.assign(member=f"fold{k}", val_loss=part.losses["val_loss"] + k) for k in range(3)]
    for fold in folds:
        fold.loc[fold["epoch"] % 5 > 0, "val_loss"] = np.nan
    figure = draw_losses(replace(part, losses=pd.concat(folds)))
    assert figure is not None
    lines = figure.axes[0].get_lines()
    assert [len(np.asarray(line.get_xdata())) for line in lines] == [60, 12, 1] * 3
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["training", "validation", "best of each model"]


def test_a_cell_cut_for_validation_and_later_for_the_test_is_one_scene(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 4, (30, 100), ("test",), extras=False)
    table = pd.read_csv(folder / "forecasts.csv.gz")
    early = table["cut_cycle"] == 30
    table.loc[early, "test_set"] = "val"
    table[~(early & (table["cell_id"] == "b2/c1"))].to_csv(folder / "forecasts.csv.gz", index=False)
    assert [(s.test_set, s.cut) for s in read_sequence_part(folder).scenes()] == [("test", "100")]


def test_cells_named_na_and_with_slashes_stay(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 3, (30,), ("test",))
    for name in ("forecasts.csv.gz", "observed.csv.gz", "cells.csv"):
        table = pd.read_csv(folder / name)
        table["cell_id"] = table["cell_id"].replace("b3/c2", "NA")
        table.to_csv(folder / name, index=False)
    part = read_sequence_part(folder)
    assert "NA" in part.cells.index
    assert part.attention[0].cell_id == "b1/c0"
    assert {s.level for s in part.saliency} == set(LEVELS)


@pytest.mark.parametrize("name", ["forecasts.csv.gz", "observed.csv.gz", "cells.csv", "metrics.json", "explanation.h5"])
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.name != name else path.read_bytes()[:9])
    with pytest.raises(DataError, match=f"{name} cannot be read as a file of a sequence run"):
        read_sequence_part(tmp_path)


def test_columns_cells_and_attributes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    folder = make_sequence_part(tmp_path / "part", 3, (30,), ("test",))
    with h5py.File(folder / "explanation.h5", "a") as file:
        file["attention/b1|c0"].attrs["input_cycle"] = np.arange(7)
    with pytest.raises(DataError, match="80 forecast, 7 input cycles"):
        read_sequence_part(folder)
    (folder / "explanation.h5").unlink()
    cells = pd.read_csv(folder / "cells.csv")
    cells.iloc[1:].to_csv(folder / "cells.csv", index=False)
    with pytest.raises(DataError, match="cell b1/c0 is not in cells.csv"):
        read_sequence_part(folder)
    cells.drop(columns="eol_cycle").to_csv(folder / "cells.csv", index=False)
    with pytest.raises(DataError, match=r"cells\.csv .*no column eol_cycle"):
        read_sequence_part(folder)


def test_no_metrics_rows_still_give_a_title(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "metrics.json").write_text(json.dumps({"rows": []}), encoding="utf-8")
    assert read_sequence_part(tmp_path).title() == "model"


def test_drawing_loads_no_model() -> None:
    code = "import sys, batgen.report.sequence_part; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
