"""Tables of the pulse family, from rows with planted numbers."""

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from batgen.report.pulse_summary import Grid, PulseBlock, summarise_pulses
from batgen.report.pulse_table import print_pulse_tables, pulse_markdown
from batgen.report.summary import Value
from tests.report.fake_pulse_run import BATTERY, Setting, metric_rows

SLOPE = Setting(BATTERY, "quantile", "slope")


def text(rows: list[dict[str, Any]], width: int = 110) -> str:
    stream = StringIO()
    print_pulse_tables(rows, Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def value(grid: Grid, line: str, method: str, metric: str = "MAPE", role: str = "model") -> Value:
    (found,) = [row for row in grid.lines if row.name == line]
    (place,) = [k for k, c in enumerate(grid.columns) if (c.method, c.metric, c.role) == (method, metric, role)]
    return found.values[place]


def only(rows: list[dict[str, Any]]) -> PulseBlock:
    (block,) = summarise_pulses(rows)
    return block


def test_a_line_per_case_and_their_mean() -> None:
    # A baseline that goes by the same method has its own column.
    rows = metric_rows()
    rows += [{**r, "method": "inversion", "value": 50.0} for r in rows if r["method"] == "ridge"]
    block = only(rows)
    assert [(line.name, line.train_soc) for line in block.error.lines] == [
        ("case_1", "5 10 30 40 50"), ("case_3", "5 25 50"), ("mean of cases", ""),
    ]  # fmt: skip
    assert value(block.error, "case_1", "inversion").mean == pytest.approx(1.7)
    assert value(block.error, "case_3", "inversion").mean == pytest.approx(2.2)
    assert value(block.error, "mean of cases", "inversion").mean == pytest.approx(1.95)
    assert value(block.error, "mean of cases", "published_with", role="paper").mean == pytest.approx(5.55)
    assert value(block.error, "mean of cases", "ridge", role="baseline").mean == pytest.approx(2.25)


def test_best_of_ours_and_baselines_only() -> None:
    rows = metric_rows()
    for row in rows:
        if row["role"] == "paper":
            row["value"] = 0.1
    block = only(rows)
    heads = [column.method for column in block.error.columns]
    best = {head for line in block.error.lines for v, head in zip(line.values, heads, strict=True) if v.best}
    assert best == {"average"}
    for row in rows:
        if row["method"] == "ridge" and row["case"] == "case_3":
            row["value"] = 1.0
    block = only(rows)
    assert value(block.error, "case_3", "ridge", role="baseline").best
    assert not value(block.error, "case_3", "average").best
    assert value(block.error, "case_1", "average").best


def test_spread_is_over_seeds_of_means_over_cases() -> None:
    """Cases move in opposite ways from seed to seed: each spreads, their mean does not."""
    rows = []
    for seed in (0, 1, 2):
        for row in metric_rows(seed=seed):
            if row["method"] == "inversion" and row["metric"] == "MAPE":
                row["value"] += seed * (0.1 if row["case"] == "case_1" else -0.1)
            rows.append(row)
    block = only(rows)
    assert value(block.error, "case_1", "inversion").mean == pytest.approx(1.8)
    assert value(block.error, "case_1", "inversion").spread == pytest.approx(0.1)
    assert value(block.error, "mean of cases", "inversion").mean == pytest.approx(1.95)
    assert value(block.error, "mean of cases", "inversion").spread == pytest.approx(0, abs=1e-12)
    assert "3 seeds (0, 1, 2): mean ± standard deviation" in block.caption
    assert "±0.10" in text(rows)
    assert "single seed (7)" in only(metric_rows(seed=7)).caption


def test_a_mean_lacking_a_case_is_no_number() -> None:
    rows = [r for r in metric_rows() if not (r["method"] == "ridge" and r["case"] == "case_3")]
    block = only(rows)
    assert np.isnan(value(block.error, "case_3", "ridge", role="baseline").mean)
    assert np.isnan(value(block.error, "mean of cases", "ridge", role="baseline").mean)
    assert "–" in text(rows)


def test_interpolation_and_extrapolation_have_means_of_their_own() -> None:
    rows = [{**r, "extrapolates": r["case"] == "case_3"} for r in metric_rows()]
    block = only(rows)
    assert value(block.error, "mean interpolated", "inversion").mean == pytest.approx(1.7)
    assert value(block.error, "mean extrapolated", "inversion").mean == pytest.approx(2.2)
    assert "shift set by hand" in block.caption


def test_blocks_by_protocol_calibration_and_prior_share_their_baselines() -> None:
    rows = metric_rows("paper") + metric_rows("honest", setting=SLOPE, shift=1.0)
    paper, honest = summarise_pulses(rows)
    assert (paper.published_elsewhere, honest.published_elsewhere) == (False, True)
    assert "cells shared between sides" in paper.caption
    assert "physical cells disjoint" in honest.caption
    assert "n = 335 test rows" in honest.caption
    assert honest.title.endswith(f"on {BATTERY}, honest protocol, calibration cells: quantile, prior: slope")
    assert value(honest.error, "case_1", "inversion").mean == pytest.approx(2.7)
    # Told with the prior "any", shown beside "slope"; the published figures have neither.
    assert value(honest.error, "case_1", "ridge", role="baseline").mean == pytest.approx(2.0)
    assert value(honest.error, "case_1", "surface", role="baseline").mean == pytest.approx(1.8)
    assert value(honest.error, "case_1", "published_without", role="paper").mean == pytest.approx(12.4)
    shown = " ".join(text(rows).split())
    assert shown.count("(paper") == 1
    assert "12.4→6.1" in shown


def test_a_surface_joins_the_blocks_of_its_own_prior() -> None:
    straight, as_it_is = (Setting(BATTERY, "none", prior) for prior in ("slope", "none"))
    far = [{**r, "value": 40.0} if r["method"] == "surface" else r for r in metric_rows(setting=as_it_is)]
    own = [r for r in metric_rows(setting=straight) if r["role"] != "paper"]
    slope, none = summarise_pulses(own + [r for r in far if r["method"] not in ("ridge", "constant")])
    assert value(slope.error, "case_1", "surface", role="baseline").mean == pytest.approx(1.8)
    assert value(none.error, "case_1", "surface", role="baseline").mean == pytest.approx(40)
    for block in (slope, none):  # on measured rows: once for both
        assert value(block.error, "case_1", "ridge", role="baseline").mean == pytest.approx(2.0)


def test_models_and_test_sets_are_not_averaged_with_each_other() -> None:
    film = [{**r, "model": "film", "value": 9.0} for r in metric_rows() if r["role"] == "model"]
    off_grid = [{**r, "test_set": "random_soc", "value": 8.0} for r in metric_rows() if r["role"] == "model"]
    blocks = summarise_pulses(metric_rows() + film + off_grid)
    assert [value(b.error, "case_1", "inversion").mean for b in blocks] == pytest.approx([1.7, 9.0, 8.0])
    assert [any(c.role == "paper" for c in b.error.columns) for b in blocks] == [True, True, False]
    assert "SOCs off the grid" in blocks[2].title


def test_second_table_in_its_units() -> None:
    block = only(metric_rows())
    assert value(block.detail, "case_1", "inversion", "coverage_90").mean == pytest.approx(91)
    assert value(block.detail, "case_1", "inversion", "interval_width_90").mean == pytest.approx(6.2)
    assert value(block.detail, "case_3", "inversion_soc_unknown").mean == pytest.approx(4.5)
    assert value(block.detail, "case_1", "average", "APE_std").mean == pytest.approx(1.2)
    # U1 3 mV and U2 5 mV; rows in V are shown in mV as well.
    assert value(block.detail, "case_1", "generated", "voltage_MAE").mean == pytest.approx(4)
    assert value(block.detail, "case_1", "surface", "voltage_MAE", "baseline").mean == pytest.approx(6)
    volts = [
        {**r, "value": r["value"] / 1e3, "unit": "V"} if r["metric"] == "voltage_MAE" else r for r in metric_rows()
    ]
    assert value(only(volts).detail, "case_1", "generated", "voltage_MAE").mean == pytest.approx(4)
    assert not any(c.method == "inversion_soc_unknown" for c in block.error.columns)


def test_tables_fit_110_columns_whole() -> None:
    rows = [row for seed in range(5) for row in metric_rows(seed=seed, shift=0.1 * seed)]
    rows += [{**r, "method": "published_forest"} for r in rows if r["method"] == "generated" and r["metric"] == "MAPE"]
    rows = [
        {**r, "train_soc": [0.05, 0.15, 0.25, 0.35, 0.45, 0.5], "case": r["case"].replace("case", "extrapolation")}
        for r in rows
    ]
    shown = text(rows)
    assert max(map(len, shown.splitlines())) <= 110
    assert "…" not in shown
    # Nothing was folded either: a mean and its spread are two lines, and a case has no third.
    lines = [line.split() for line in shown.splitlines()]
    assert sum(line[:1] == ["extrapolation_1"] for line in lines) == 2
    first = next(line for line in lines if line[:1] == ["extrapolation_1"])
    assert first[1:] == ["12.4→6.1", "1.90", "2.30", "2.10", "1.80", "2.30", "1.80", "2.00", "4.10", "6.00", "7.70"]


def test_markdown() -> None:
    rows = metric_rows()
    for row in rows:
        if row["method"] == "average" and row["metric"] == "MAPE" and row["case"] == "case_1":
            row["low"], row["high"] = 1.4, 1.9
    page = pulse_markdown(rows)
    assert "| case_1: 5 10 30 40 50 | 12.4 → 6.1 | 1.70 | 2.10 | 1.90 | **1.60** (1.40 to 1.90) | 1.80 |" in page
    assert "| published without → with [%] | inversion [%] |" in page
    assert "| mean of cases | 14.9 → 5.5 |" in page
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
    many = pulse_markdown([row for seed in (0, 1) for row in metric_rows(seed=seed, shift=float(seed))])
    assert "2.20 ± 0.71" in many
