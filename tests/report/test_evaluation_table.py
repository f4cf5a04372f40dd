"""Tables of an evaluation: what stands in a cell, and what holds of physics."""

import io
from typing import Any

import pytest
from rich.console import Console

from batgen.report.evaluation_table import held_checks, number, print_headlines, to_markdown, value_text


def row(metric: str, value: float | None, method: str = "rcvae", **more: Any) -> dict[str, Any]:
    about = {"protocol": "honest", "seed": 0, "split": "cell", "data": "sim", "test_set": "test", "family": "fidelity"}
    role = "model" if method == "rcvae" else "baseline"
    return {
        **about, "metric": metric, "signal": "curve", "value": value, "low": None, "high": None, "unit": "1",
        "direction": "lower", "n": 40, "floor": None, "method": method, "role": role, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.12345, "0.123"), (12.345, "12.3"), (1234.5, "1234"), (-0.5, "-0.500"), (2e-7, "2.00e-07"), (3e9, "3.00e+09")],
)  # fmt: skip
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_cell_is_a_value_with_its_interval_or_several_seeds() -> None:
    one = row("MAE", 0.5, low=0.25, high=0.75)
    assert value_text([]) == ""
    assert value_text([one]) == "0.500 [0.250, 0.750]"
    assert value_text([one], short=True) == "0.500"
    assert value_text([row("MAE", 0.5, low=float("nan"), high=1.0)]) == "0.500"
    assert value_text([one, row("MAE", 1.5, seed=1)]) == "1.00 ± 0.707"
    assert value_text([row("MAE", None)]) == value_text([one, row("MAE", float("inf"))]) == "fails"


def test_markdown_has_a_section_a_test_set_a_table_a_family_and_a_column_a_method() -> None:
    rows = [
        row("MAE", 0.4, "knn", signal="voltage_V", unit="V"),
        row("MAE", 0.5, signal="voltage_V", unit="V", floor=0.3, n=38),
        row("recall", 0.9, direction="higher", family="diversity"),
        row("density", 1.1, direction="one", family="diversity"),
        row("membership_AUC", 0.5, direction="half", family="memorisation", protocol="paper", split="random"),
    ]
    text = to_markdown(rows, ["a remark"])
    lines = text.splitlines()
    assert "## honest protocol, cell split, sim: test" in lines
    assert "## paper protocol, random split, sim: test" in lines
    assert "| metric | rcvae | knn | floor | n |" in lines, "the model comes first"
    assert "| MAE voltage_V [V] ↓ | 0.500 | 0.400 | 0.300 | 40 |" in lines
    assert "| recall ↑ | 0.900 |  | 40 |" in lines
    assert "| density →1 | 1.10 |  | 40 |" in lines
    assert "| membership_AUC →½ | 0.500 |  | 40 |" in lines
    assert "- a remark" in lines
    for line in lines:
        if line.startswith("|"):
            table = [other for other in lines if other.startswith("|")]
            assert line.count("|") in {other.count("|") for other in table if other.startswith("| metric")}


def test_a_check_holds_where_it_is_passed_as_often_as_by_measured_curves() -> None:
    rows = [
        row("pass_rate", 0.95, signal="voltage_window", floor=0.96),
        row("pass_rate", 0.90, signal="time_steps", floor=0.96),
        row("pass_rate", 0.97, signal="not_flat"),
        row("pass_rate", 0.99, signal="finite"),
        row("pass_rate", None, signal="ohmic_step", floor=0.5),
    ]
    assert held_checks(rows) == "2 of 5"
    assert held_checks([]) == ""
    seeds = [row("pass_rate", v, signal="finite", floor=1.0, seed=k) for k, v in enumerate((1.0, 0.97))]
    assert held_checks(seeds) == "1 of 1"


def test_the_terminal_shows_what_says_most() -> None:
    rows = [
        row("CRPS", 0.02, signal="voltage_V", unit="V", family="conditional", floor=0.01),
        row("CRPS", 0.09, signal="voltage_V", unit="V", family="rare"),
        row("CRPS", 0.03, "knn", signal="voltage_V", unit="V", family="conditional"),
        row("MMD", 0.7),
        row("pass_rate", 1.0, signal="finite", family="physics", floor=1.0),
    ]
    out = io.StringIO()
    print_headlines(rows, Console(file=out, width=120))
    text = out.getvalue()
    assert "honest protocol, cell split, sim: test" in text
    assert "0.0200" in text
    assert "0.0300" in text
    assert "0.0100" in text
    assert "1 of 1" in text
    assert "0.0900" not in text
    assert "0.700" not in text
    quiet = io.StringIO()
    print_headlines([row("MMD", 0.7)], Console(file=quiet))
    assert not quiet.getvalue()
