"""What a part shows elsewhere: every family's rows in one table, main numbers, and examples that are the file's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batgen.errors import DataError
from batgen.report.examples import DRAWS, POINTS, ROWS, examples_table, read_examples
from batgen.report.figures.examples import draw_examples
from batgen.report.headline import headlines
from batgen.report.part import read_part
from batgen.report.published import COLUMNS, read_published
from tests.report.fake_pulse_run import make_pulse_part
from tests.report.fake_run import make_part
from tests.report.fake_sequence_run import make_sequence_part
from tests.report.profile_folder import make_profile_part

FAMILIES = {
    "curves": make_part,
    "pulses": make_pulse_part,
    "sequences": make_sequence_part,
    "profiles": make_profile_part,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_examples_of_every_family(family: str, tmp_path: Path) -> None:
    FAMILIES[family](tmp_path / "part")
    found = read_examples(tmp_path / "part")
    rows = list(dict.fromkeys(one.row for one in found))
    assert 1 < len(rows) <= ROWS
    for one in found:
        assert "measured" in one.lines
        assert 2 <= len(one.lines) <= 1 + max(DRAWS, 3)
        for x, y in one.lines.values():
            assert 0 < len(x) == len(y) <= POINTS
            assert np.isfinite([*x, *y]).all()
            assert (np.diff(x) > 0).all()
    table = examples_table(found)
    assert list(table) == ["row", "signal", "line", "x_name", "x", "y"]
    assert len(table) == sum(len(x) for one in found for x, _ in one.lines.values())
    figure = draw_examples(found, "planted")
    assert figure is not None
    assert sum(ax.get_visible() for ax in figure.axes) == len(found)


def test_an_example_is_the_row_of_the_file(tmp_path: Path) -> None:
    make_part(tmp_path)
    part = read_part(tmp_path)
    assert part.generated is not None
    for one in read_examples(tmp_path):
        row = next(k for k in map(int, part.generated_index) if part.label(k) == one.row)
        place = list(part.generated_index).index(row)
        name = next(n for n, (_, unit) in part.signals().items() if f"[{unit.replace('degC', '°C')}]" in one.signal)
        index = part.signals()[name][0]
        assert set(one.lines["measured"][1]) <= set(part.real[row, index].astype(float))
        assert set(one.lines["draw 2"][1]) <= set(part.generated[place, 1, index].astype(float))


def test_no_curves_no_examples(tmp_path: Path) -> None:
    assert read_examples(tmp_path) == []
    assert draw_examples([], "nothing") is None
    assert examples_table([]).empty


def row(value: float | None, **more: Any) -> dict[str, Any]:
    about = {
        "model": "m",
        "data": "d",
        "protocol": "honest",
        "seed": 0,
        "role": "model",
        "metric": "MAE",
        "signal": "s",
    }
    return {**about, "value": value, "unit": "V", **more}


def write(part: Path, rows: list[dict[str, Any]], training: dict[str, Any]) -> None:
    part.mkdir(exist_ok=True)
    (part / "metrics.json").write_text(json.dumps({"rows": rows, "training": training}))


def test_main_numbers_are_the_first_setting_over_all_cases(tmp_path: Path) -> None:
    rows = [
        row(9.0, test_set="val", method="a"),
        row(1.0, test_set="grid", method="a", case="0"),
        row(3.0, test_set="grid", method="a", case="1"),
        row(None, test_set="grid", method="a", case="2"),
        row(50.0, test_set="random", method="a", case="0"),
        row(60.0, test_set="grid", method="b", case="0"),
        row(70.0, role="baseline", test_set="grid", method="knn", case="0"),
        row(0.5, signal="t", test_set="random", method="b"),
    ]
    write(tmp_path, rows, {"fold0": {"epochs": 4, "best_score": 1.0}, "fold1": {"epochs": 6, "best_score": 3.0}})
    found = read_published(tmp_path)
    assert found.main == {"MAE/s": 2.0, "MAE/t": 0.5}
    assert found.training == {"epochs": 5.0, "best_score": 2.0}
    assert tuple(found.metrics) == COLUMNS
    assert len(found.metrics) == len(rows)
    assert found.metrics["setting"][1] == "test_set grid, case 0"
    assert found.title() == "m on d, honest protocol, seed 0"


def test_the_main_number_is_the_headline(tmp_path: Path) -> None:
    """Of pulse tests the average estimate without calibration cells, over all cases and test sets, as in every table."""
    about = {"metric": "MAPE", "signal": "SOH", "calibration": "none", "unit": "%", "direction": "lower"}
    rows = [
        row(40.0, **about, method="rf", test_set="grid"),
        row(1.0, **about, method="average", test_set="grid"),
        row(4.0, **about, method="average", test_set="random"),
        row(30.0, **{**about, "calibration": "2"}, method="average", test_set="grid"),
        row(7.0, signal="SOH", calibration="none", method="rf", test_set="grid"),
        row(2.0, signal="SOH", calibration="none", method="average", test_set="grid"),
    ]
    write(tmp_path, rows, {})
    main = read_published(tmp_path).main
    (known,) = headlines(rows)
    assert main["MAPE/SOH"] == pytest.approx(known.value) == pytest.approx(2.5)
    assert main["MAE/SOH"] == 2.0  # what is beside it is of the same estimate


def test_a_baseline_of_curves_is_a_method(tmp_path: Path) -> None:
    write(tmp_path, [row(2.0, model="knn", role="baseline"), row(1.0, model="rcvae")], {"epochs": 3, "best_epoch": 1})
    found = read_published(tmp_path)
    assert list(found.metrics["method"]) == ["knn", "rcvae"]
    lines = found.markdown().splitlines()
    assert lines[2] == "| rcvae | MAE | s |  | 1 | V |"  # the model first
    assert lines[3] == "| knn | MAE | s |  | 2 | V |"
    assert found.training == {"epochs": 3.0, "best_epoch": 1.0}


def test_losses_of_pulse_models_are_means_by_epoch(tmp_path: Path) -> None:
    make_pulse_part(tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text())
    write(tmp_path, content["rows"], {})
    (tmp_path / "losses.csv").write_text("member,epoch,loss\na,1,2.0\nb,1,4.0\na,2,1.0\nb,2,1.0\n")
    losses = read_published(tmp_path).losses
    assert losses is not None
    assert losses.to_dict("list") == {"epoch": [1, 2], "train/loss": [3.0, 1.0]}


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": []}'])
def test_a_damaged_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(DataError, match=r"metrics\.json"):
        read_published(tmp_path)
