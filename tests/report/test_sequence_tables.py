"""Tables of the sequence family, from rows with planted numbers."""

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from batgen.report.sequence_summary import Grid, SequenceBlock, summarise_sequences
from batgen.report.sequence_table import print_tables, to_markdown
from batgen.report.summary import Value
from tests.report.fake_sequence_run import CAPACITY, DROP, metric_rows

Rows = list[dict[str, Any]]


def text(rows: Rows, width: int = 110) -> str:
    stream = StringIO()
    print_tables(rows, Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def value(grid: Grid, method: str, metric: str) -> Value:
    (line,) = [line for line in grid.lines if line.name == method]
    (place,) = [k for k, column in enumerate(grid.columns) if column.metric == metric]
    return line.values[place]


def only(rows: Rows) -> SequenceBlock:
    (block,) = summarise_sequences(rows)
    return block


def test_model_then_its_conformal_form_then_baselines_by_rmse() -> None:
    block = only(metric_rows()[::-1])
    assert [line.name for line in block.main.lines] == [
        "model", "model, conformal", "nearest_held", "mean_alive", "linear", "persistence",
    ]  # fmt: skip
    assert [line.name for line in block.main.lines if line.best] == ["nearest_held"]


def test_capacity_is_in_percent_of_nominal_and_over_the_whole_horizon() -> None:
    # Rows of 1-100 cycles ahead (9 Ah) and those in Ah have other numbers.
    block = only(metric_rows())
    assert value(block.main, "model", "RMSE").mean == 2.0
    assert {c.metric: c.unit for c in block.main.columns} == {
        "RMSE": "%", "MAE": "%", "clamp_RMSE": "%", "EOL_error_median": "cycles", "EOL_never_reached": "%",
        "coverage_80": "%", "CRPS": "%", "range_ratio": "",
    }  # fmt: skip


def test_without_percent_capacity_stays_in_mAh() -> None:
    rows = [row for row in metric_rows() if not row["signal"].endswith("%")]
    block = only(rows)
    assert block.main.columns[0].unit == "mAh"
    assert value(block.main, "model", "RMSE").mean == pytest.approx(22.0)


def test_another_target_alone_is_the_main_table() -> None:
    block = only([row for row in metric_rows() if row["signal"] == DROP])
    assert block.title.startswith("relaxation voltage drop, test cells")
    assert block.main.columns[0].unit == "mV"
    assert not block.further


def test_further_targets_have_a_table_of_their_own() -> None:
    (grid,) = only(metric_rows()).further
    assert grid.title == "relaxation voltage drop"
    assert value(grid, "model", "MAE").mean == pytest.approx(3 * 1.4)


def test_seeds_are_joined_by_mean_and_spread() -> None:
    block = only([row for seed in range(3) for row in metric_rows(seed, model_rmse=2.0 + 0.3 * seed)])
    found = value(block.main, "model", "RMSE")
    assert (found.mean, found.spread) == (pytest.approx(2.3), pytest.approx(0.3))
    assert value(block.main, "nearest_held", "RMSE").spread == 0
    assert "3 seeds (0, 1, 2): mean ± standard deviation" in block.caption


def test_test_cells_and_long_cuts_come_first_validation_last() -> None:
    rows = [r for s in ("val", "oxford", "secondary", "test") for cut in (30, 100) for r in metric_rows(0, s, cut)]
    found = [block.title.split(": ")[0] for block in summarise_sequences(rows)]
    assert found == [
        f"Discharge capacity, {name} cells, first {cut} cycles given"
        for name in ("test", "secondary test", "oxford", "validation")
        for cut in (100, 30)
    ]


def test_baselines_join_by_place_and_not_by_the_model_they_name() -> None:
    rows = metric_rows() + metric_rows(0, "test", 30)
    rows = [{**r, "model": r["method"]} if r["role"] == "baseline" else r for r in rows]
    blocks = summarise_sequences(rows)
    assert [len(block.main.lines) for block in blocks] == [6, 6]


def test_best_of_a_column_is_bold_and_floors_do_not_compete() -> None:
    rows = metric_rows(model_rmse=3.5)
    floor = [{**r, "role": "floor", "method": "noise", "value": 0.1} for r in rows if r["method"] == "linear"]
    block = only(rows + floor)
    assert value(block.main, "nearest_held", "RMSE").best
    assert not value(block.main, "model", "RMSE").best
    assert not value(block.main, "noise", "RMSE").best
    assert block.main.lines[-1].name == "noise"


def test_a_ratio_is_best_next_to_one_and_coverage_has_no_best() -> None:
    rows = metric_rows()
    for row in rows:
        if row["metric"] == "range_ratio" and row["method"] == "linear":
            row["value"] = 1.4
    block = only(rows)
    assert value(block.main, "model", "range_ratio").best
    assert not value(block.main, "linear", "range_ratio").best
    assert not value(block.main, "model", "coverage_80").best


def test_a_clear_win_needs_no_words() -> None:
    assert only(metric_rows()).words == []


def test_a_loss_is_said_in_words_with_both_numbers() -> None:
    (sentence,) = only(metric_rows(model_rmse=3.1)).words
    # RMSE 3.1 wins against 3.2, MAE 2.17 loses against 2.1.
    assert sentence == "The model loses to a baseline in MAE (2.17 against 2.10 %, nearest_held)."


def test_a_lead_within_the_spread_of_seeds_is_no_win() -> None:
    rows = [r for seed, rmse in enumerate((2.4, 2.9, 3.4)) for r in metric_rows(seed, model_rmse=rmse)]
    words = only(rows).words
    assert len(words) == 1
    assert words[0].startswith(
        "Its lead is smaller than the spread of its seeds in RMSE (2.90 against 3.20 %, nearest_held)"
    )


def test_flat_forecasts_and_forecasts_all_alike_are_said() -> None:
    rows = metric_rows()
    for row in rows:
        if row["metric"] == "range_ratio" and row["method"] == "model":
            row["value"] = 0.31
    alike = {**rows[0], "signal": CAPACITY, "metric": "between_cell_ratio", "value": 0.2, "unit": "1"}
    words = only([*rows, alike]).words
    assert words == [
        "Forecasts are flat: their range is 0.31 of the measured one.",
        "Forecasts of different cells are nearly alike: they spread 0.20 of what the cells do.",
    ]


def test_missing_numbers_are_dashes() -> None:
    rows = metric_rows()
    for row in rows:
        if row["metric"] == "clamp_RMSE":
            row["value"] = (
                None if row["method"] == "linear" else np.nan if row["method"] == "persistence" else row["value"]
            )
    line = next(found for found in to_markdown(rows).splitlines() if found.startswith("| persistence"))
    assert line.split(" | ")[1:4] == ["6.00", "4.50", "–"]
    assert np.isnan(value(only(rows).main, "linear", "clamp_RMSE").mean)


def test_a_metric_that_no_method_has_is_no_column_fresh_or_read_again() -> None:
    """NaN becomes null in metrics.json: a finished run that is resumed shows the same table."""
    rows = metric_rows()
    shown = [
        text([{**row, "value": gone} if row["metric"].startswith("EOL_") else row for row in rows])
        for gone in (float("nan"), None)
    ]
    assert shown[0] == shown[1]
    assert "EOL" not in shown[0].split("loses")[0]


def test_everything_fits_110_columns_whatever_a_baseline_is_called() -> None:
    rows = [row for seed in range(3) for row in metric_rows(seed, model_rmse=12.0 + seed)]
    rows += [{**r, "metric": "between_cell_ratio"} for r in rows if r["metric"] == "range_ratio"]
    for row in rows:
        if row["method"] == "mean_alive":
            row["method"] = "mean_trajectory, extended, aligned"
    shown = text(rows)
    assert max(map(len, shown.splitlines())) <= 110
    for head in ("RMSE", "MAE", "clamp", "EOL error,", "EOL never", "10–90 %", "CRPS", "range", "between"):
        assert head in shown


def test_markdown_has_intervals_of_a_single_seed() -> None:
    rows = metric_rows()
    for row in rows:
        if (row["method"], row["signal"], row["metric"]) == ("model", "discharge_capacity_%", "RMSE"):
            row.update(low=1.7, high=2.4)
    markdown = to_markdown(rows)
    assert "| model | **2.00** (1.70 to 2.40) |" in markdown
    assert "| nearest_held \\* | 3.20 |" in markdown
    assert markdown.count("\n## ") + markdown.startswith("## ") == 1


def test_a_note_on_one_metric_says_on_which() -> None:
    rows = metric_rows()
    at = {**rows[0], "signal": CAPACITY, "metric": "between_cell_ratio", "unit": "1", "note": "at cycle 561"}
    everywhere = [{**row, "note": "first look"} for row in rows]
    assert only([*everywhere, at]).caption.endswith("; first look; between cells: at cycle 561")


def test_rounding_errors_are_zero_and_small_numbers_are_not() -> None:
    rows = metric_rows()
    for row in rows:
        row["value"] = 1e-16 if row["method"] == "linear" else 0.00123
    lines = to_markdown(rows).splitlines()
    assert any(line.startswith("| linear") and line.split(" | ")[1] == "**0.00**" for line in lines)
    assert any(line.startswith("| mean_alive | 0.0012 |") for line in lines)


def test_no_rows_no_tables() -> None:
    assert to_markdown([]) == ""
    assert text([]) == ""
