"""Figures from a part folder alone: all of them, and what happens when data is absent or scarce."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from batgen.errors import DataError
from batgen.report.figures import draw_all
from batgen.report.figures.embedding import draw_embedding
from batgen.report.figures.errors import draw_errors
from batgen.report.figures.images import draw_capacity_images, draw_rgb_images
from batgen.report.figures.overlay import chosen_rows, draw_overlay
from batgen.report.figures.training import draw_training
from batgen.report.part import read_part
from tests.report.fake_run import PAPER, make_part

SINGLE = ("discharge_capacity_Ah",)


def names(paths: list[Path]) -> set[str]:
    return {path.stem for path in paths}


def test_all_figures_of_a_full_part(tmp_path: Path) -> None:
    part = make_part(tmp_path / "part", PAPER, points=100, protocol="paper", draws=8)
    before = dict(mpl.rcParams)
    paths = draw_all(part, tmp_path / "figures")
    assert names(paths) == {"overlay", "errors", "images_capacity", "images_rgb", "embedding", "fade", "training"}
    for path in paths:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) > 10_000
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(p.name for p in paths)
    assert dict(mpl.rcParams) == before


def test_absent_groups_and_few_samples(tmp_path: Path) -> None:
    part = make_part(tmp_path / "part", cells=1, cycles=2, draws=3, points=37, extras=False)
    assert names(draw_all(part, tmp_path)) == {"overlay", "errors", "images_capacity", "images_rgb"}


def test_a_single_signal(tmp_path: Path) -> None:
    part = make_part(tmp_path / "part", SINGLE, cells=4, cycles=5, draws=3, extras=False)
    assert names(draw_all(part, tmp_path)) == {"overlay", "errors", "images_capacity"}


def test_measured_curves_alone(tmp_path: Path) -> None:
    folder = make_part(tmp_path, extras=False)
    with h5py.File(folder / "samples.h5", "a") as file:
        del file["generated"], file["conditional_mean"]
    part = read_part(folder)
    assert draw_errors(part) is None
    assert draw_rgb_images(part) is None
    assert draw_overlay(part) is not None


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_nan_is_drawn_around(tmp_path: Path) -> None:
    part = read_part(make_part(tmp_path, draws=4, extras=False))
    part.real[:, part.slices.index("temperature_degC")] = np.nan
    part.real[0, 0, :5] = np.nan
    assert part.generated is not None
    part.generated[0] = np.nan
    conditions = {name: np.full(len(part.real), np.nan) for name in ("eol", "ecl")}
    part = replace(part, conditions=conditions)
    for draw in (draw_overlay, draw_errors, draw_capacity_images, draw_rgb_images):
        assert draw(part) is not None
    assert part.label(0) == part.cell_id[0]


def test_panels_show_different_cells_of_different_age(tmp_path: Path) -> None:
    part = read_part(make_part(tmp_path, cells=6, cycles=30, extras=False))
    rows = chosen_rows(part, 3)
    assert set(rows) <= set(part.generated_index)
    assert len(set(part.cell_id[rows])) == 3
    assert np.all(np.diff(part.conditions["eol"][rows]) >= 0)
    ages = part.conditions["ecl"][rows]
    assert ages[0] < ages[2]


def test_overlay_says_r2_and_units(tmp_path: Path) -> None:
    part = read_part(make_part(tmp_path, PAPER, points=64, protocol="paper", draws=4, extras=False))
    figure = draw_overlay(part, conditions=2)
    assert figure is not None
    assert len(figure.axes) == 8
    assert [ax.get_ylabel() for ax in figure.axes[:4]] == [
        "Voltage [V]", "Current [A]", "Temperature [°C]", "Charge capacity [Ah]",
    ]  # fmt: skip
    for ax in figure.axes:
        scores = [t.get_text() for t in ax.texts]
        assert len(scores) == 2
        assert all(score.startswith("R² ") for score in scores)


def test_embedding_annotations_follow_eq_14(tmp_path: Path) -> None:
    part = read_part(make_part(tmp_path, cells=2, cycles=2, draws=2))
    assert part.embedding is not None
    few = replace(part.embedding, weight=part.embedding.weight[:9], eol=np.full(9, 800.0), ecl=np.full(9, 50.0))
    figure = draw_embedding(replace(part, embedding=few))
    assert figure is not None
    assert {t.get_text() for t in figure.axes[0].texts} == {"EOL 800\nECL 50\nd 425"}
    assert "k-means" in figure.axes[0].get_title(loc="left")
    assert draw_embedding(replace(part, embedding=replace(few, weight=few.weight[:3]))) is None


def test_training_curves_of_sparse_or_dense_logs() -> None:
    losses = {"train/loss": [1.0, 0.5, 0.01], "val/loss": [1.1, 0.6, 0.7]}
    dense = pd.DataFrame({"epoch": [0.0, 1, 2], **losses, "lr": 1e-3})
    figure = draw_training(dense)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["training", "validation", "best 0.6"]
    assert draw_training(None) is None
    assert draw_training(dense.head(1)) is None
    assert draw_training(pd.DataFrame({"loss": [1.0, 2.0]})) is None


def test_damaged_samples_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"samples\.h5 cannot be read"):
        draw_all(tmp_path, tmp_path)
    (tmp_path / "samples.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"samples\.h5 cannot be read"):
        draw_all(tmp_path, tmp_path)


def test_figures_leave_the_backend_to_the_user() -> None:
    code = "import batgen.report.figures, sys; sys.exit('matplotlib.pyplot' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
