"""Tables of the profiles family, from rows with planted numbers."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from batgen.report.profile_grid import Grid
from batgen.report.profile_summary import ProfileBlock, summarise_profiles
from batgen.report.profile_table import print_tables, to_markdown
from batgen.report.summary import Value
from tests.report.profile_folder import T, V, metric_rows

Rows = list[dict[str, Any]]


def text(rows: Rows, width: int = 100) -> str:
    stream = StringIO()
    print_tables(rows, Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def only(rows: Rows) -> ProfileBlock:
    (block,) = summarise_profiles(rows)
    return block


def titled(block: ProfileBlock, title: str) -> Grid:
    (grid,) = [grid for grid in block.further if grid.title == title]
    return grid


def value(grid: Grid, method: str, metric: str, signal: str) -> Value:
    (line,) = [line for line in grid.lines if line.name == method]
    (place,) = [k for k, column in enumerate(grid.columns) if (column.metric, column.signal) == (metric, signal)]
    return line.values[place]


def set_value(rows: Rows, method: str, metric: str, number: float | None, signal: str | None = None) -> Rows:
    for row in rows:
        if (row["method"], row["metric"]) == (method, metric) and signal in (None, row["signal"]):
            row["value"] = number
    return rows


def said(rows: Rows, start: str) -> str:
    return next((sentence for sentence in only(rows).words if sentence.startswith(start)), "")


def test_model_then_baselines_by_their_peak_error_then_the_neighbour() -> None:
    grid = only(metric_rows()[::-1]).main
    assert [line.name for line in grid.lines] == ["wgan_gp", "protocol_cycle_mean", "mean_curve", "measured neighbour"]
    assert [line.name for line in grid.lines if line.best] == ["protocol_cycle_mean"]
    assert [column.metric for column in grid.columns] == ["MAE"] * 4 + [
        "RMSE",
        "CRPS",
        "energy_distance",
        "variance_ratio",
    ]


def test_times_are_in_minutes_and_shares_in_percent() -> None:
    block = only(metric_rows())
    assert value(block.main, "wgan_gp", "MAE", "peak_time_s").mean == pytest.approx(2.0)
    assert value(titled(block, "duration and other signals"), "mean_curve", "MAE", "duration_s").mean == pytest.approx(
        5.0
    )
    assert value(titled(block, "physics checks passed"), "measured", "pass_rate", "rate").mean == pytest.approx(96.0)
    assert value(titled(block, "failures"), "wgan_gp", "repeat_share", "profile").mean == pytest.approx(5.0)
    heads = [column.unit for column in block.main.columns]
    assert heads == ["°C", "min", "°C", "°C", "°C", "°C", "", ""]


def test_best_is_bold_in_each_column_and_neighbours_do_not_compete() -> None:
    block = only(metric_rows())
    assert value(block.main, "wgan_gp", "MAE", "peak_temperature_degC").best
    assert value(block.main, "protocol_cycle_mean", "MAE", "peak_time_s").best
    assert not value(block.main, "wgan_gp", "MAE", "peak_time_s").best
    # The neighbour's 0.01 is below the model's 0.02.
    assert value(block.main, "wgan_gp", "energy_distance", "profile").best
    assert not value(block.main, "measured neighbour", "energy_distance", "profile").best
    physics = titled(block, "physics checks passed")
    assert value(physics, "protocol_cycle_mean", "pass_rate", "thermal_balance").best
    # Methods stand in the order of the first table, though they pass in another.
    swapped = set_value(metric_rows(), "mean_curve", "MAE", 0.1, "peak_temperature_degC")
    names = [line.name for line in titled(only(swapped), "physics checks passed").lines]
    assert names == ["wgan_gp", "mean_curve", "protocol_cycle_mean", "measured"]
    # All alike: none is best.
    failures = titled(block, "failures")
    assert not any(value(failures, name, "flat_share", "profile").best for name in ("wgan_gp", "mean_curve"))


def test_a_better_model_is_told_in_seed_spreads() -> None:
    rows = [row for seed, add in enumerate((-0.1, 0.0, 0.1)) for row in metric_rows(seed, add=add)]
    cell = value(only(rows).main, "wgan_gp", "MAE", "peak_temperature_degC")
    assert (cell.mean, cell.spread) == (pytest.approx(1.0), pytest.approx(0.1))
    sentence = said(rows, "In peak temperature MAE")
    assert "0.20 °C (17 %) better than the best baseline: 1.00 against 1.20 °C (protocol_cycle_mean)" in sentence
    assert sentence.endswith("2.0 seed spreads, n = 3 seeds.")
    assert "profile RMSE (0.80 against 0.90 °C; 1.0 seed spreads)" in said(rows, "Better than")
    assert "3 seeds (0, 1, 2)" in only(rows).caption


def test_a_worse_model_is_told_so() -> None:
    rows = metric_rows(add=0.5)
    assert "0.30 °C (25 %) worse than the best baseline" in said(rows, "In peak temperature MAE")
    assert "one seed, so its spread is not known" in said(rows, "In peak temperature MAE")
    assert "peak time MAE (2.00 against 1.00 min); profile RMSE (1.30 against 0.90 °C)" in said(rows, "Worse than")
    assert "profile RMSE" not in said(rows, "Better than")


def test_spread_is_that_of_the_difference_seed_by_seed() -> None:
    # Model and baseline move together with the split of a seed: their difference does not spread.
    rows = []
    for seed, add in enumerate((-0.5, 0.0, 0.5)):
        own = metric_rows(seed, add=add + 0.01 * seed)
        for row in own:
            row["value"] += add if (row["method"], row["metric"]) == ("protocol_cycle_mean", "MAE") else 0.0
        rows += own
    assert said(rows, "In peak temperature MAE").endswith("19.0 seed spreads, n = 3 seeds.")


def test_a_gain_within_the_seed_spread_is_no_win() -> None:
    rows = [row for seed, add in enumerate((-0.3, 0.0, 0.3)) for row in metric_rows(seed, add=add)]
    assert "profile RMSE" in said(rows, "No more than the spread of the seeds apart")
    assert "profile RMSE" not in said(rows, "Better than")


def test_c2st_says_nothing_where_measured_cells_do_not_score_near_a_half() -> None:
    for floor, told in ((0.97, "score 0.97 already"), (0.1, "score 0.10, below chance"), (0.55, "")):
        # Nearer to a half is better: the model's 0.98, the baselines' 0.45 and 1.0.
        rows = set_value(metric_rows(), "protocol_cycle_mean", "C2ST", 0.45)
        for row in rows:
            row["floor"] = floor if row["metric"] == "C2ST" else row["floor"]
        grid = titled(only(rows), "statistics")
        assert value(grid, "measured neighbour", "C2ST", "profile").mean == pytest.approx(floor)
        assert value(grid, "protocol_cycle_mean", "C2ST", "profile").best == (not told)
        assert told in said(rows, "C2ST says nothing")
        assert bool(told) == bool(said(rows, "C2ST says nothing"))


def test_physics_below_measured_by_more_than_two_points_is_named() -> None:
    sentence = said(metric_rows(), "The model passes physics checks less often")
    assert "rate (81.0 against 96.0 %)" in sentence
    assert "thermal" not in sentence
    assert not said(set_value(metric_rows(), "wgan_gp", "pass_rate", 0.965), "The model passes physics checks less")


def test_failures_collapse_and_use_for_training_are_told() -> None:
    rows = metric_rows()
    assert "repeats (5.00 against 0.00 %)" in said(rows, "The model fails more often")
    assert "out of range" not in said(rows, "The model fails more often")
    assert "2.00 %, from measured ones by 1.20 %" in said(rows, "State of health learnt")
    assert not said(rows, "Within a condition")
    assert "too little" in said(set_value(rows, "wgan_gp", "variance_ratio", 0.1), "Within a condition")
    assert "too much" in said(set_value(rows, "wgan_gp", "variance_ratio", 2.0), "Within a condition")


def test_conditions_that_are_not_learnt_or_constant_are_named() -> None:
    rows = metric_rows()
    lines = {line.name: line.role for line in titled(only(rows), "what each condition does").lines}
    assert lines == {
        "ambient + mean current + RMS current": "learnt", "cycle": "learnt", "start temperature": "not learnt",
        "state of health": "constant",
    }  # fmt: skip
    assert said(rows, "Without effect").endswith(": start temperature.")
    assert said(rows, "Constant").endswith(": state of health.")
    assert "| state of health (constant) | – |" in to_markdown(rows)
    # Two of three seeds saw an effect of the start temperature.
    more = [row for seed in range(3) for row in metric_rows(seed)]
    for row in more:
        if row["signal"] == "start_temperature_degC" and row["seed"]:
            row["note"] = "learnt: yes"
    assert not said(more, "Without effect")


def test_held_out_cells_come_before_those_scored_apart_and_each_has_its_baselines() -> None:
    blocks = summarise_profiles(metric_rows(test_set="apart", add=1.0) + metric_rows(test_set="cells"))
    assert ["held-out" in block.title for block in blocks] == [True, False]
    assert [value(block.main, "wgan_gp", "RMSE", T).mean for block in blocks] == [
        pytest.approx(0.8),
        pytest.approx(1.8),
    ]
    assert all(len(block.main.lines) == 4 for block in blocks)


def test_unknown_values_are_dashes_and_a_run_without_temperature_has_a_table() -> None:
    rows = [row for row in metric_rows() if row["metric"] in ("RMSE", "CRPS") or row["signal"] == "duration_s"]
    for row in rows:
        row["signal"], row["unit"] = (V, "V") if row["signal"] == T else (row["signal"], row["unit"])
    set_value(rows, "mean_curve", "CRPS", None)
    block = only(rows)
    assert [(column.signal, column.unit) for column in block.main.columns] == [(V, "mV"), (V, "mV")]
    assert value(block.main, "wgan_gp", "RMSE", V).mean == pytest.approx(800.0)
    assert any(line.startswith("| mean_curve | 2000 | – |") for line in to_markdown(rows).splitlines())


def test_both_renderings_say_the_same() -> None:
    rows = [row for seed in range(2) for row in metric_rows(seed, add=0.1 * seed)]
    printed, marked = text(rows), to_markdown(rows)
    assert "| wgan_gp | **1.05 ± 0.07** | 2.00 | **0.90** |" in marked
    assert "| protocol_cycle_mean \\* | 1.20 | **1.00** |" in marked
    for sentence in only(rows).words:
        assert sentence in " ".join(printed.split())
        assert sentence in marked
    assert "±0.07" in printed
    assert "protocol_cycle_mean *" in " ".join(printed.split())


def test_no_rows_no_tables() -> None:
    assert to_markdown([]) == ""
    assert text([]) == ""
