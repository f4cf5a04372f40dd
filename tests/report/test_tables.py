"""The metrics table from tidy rows alone."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from batgen.evaluation.paper import paper_rows
from batgen.evaluation.rows import metric_rows
from batgen.report.labels import grid_label, number, with_unit, words
from batgen.report.summary import summarise
from batgen.report.table import print_tables, to_markdown

SIGNALS = ["voltage_V", "charge_capacity_Ah", "current_A", "temperature_degC", "time_s", "Total"]
BASELINES = ("nearest_copy", "mean_curve", "knn", "pointwise_ridge", "pca_gaussian")


def rows(protocol: str = "honest", seeds: tuple[int, ...] = (0,), signals: list[str] = SIGNALS) -> list[dict[str, Any]]:
    """The model is 10 % better than each baseline; errors grow a little with the seed."""
    found = []
    for seed in seeds:
        for model in ("rcvae", *BASELINES):
            role = "baseline" if model in BASELINES else "model"
            context = {"protocol": protocol, "seed": seed, "split": "cell", "model": model, "role": role, "n": 480}
            factor = (0.9 if role == "model" else 1.0) * (1 + 0.1 * seed)
            errors = dict.fromkeys(signals, 0.02 * factor)
            prior = {**context, "mode": "prior", "K": 50}
            if role == "model":
                found += metric_rows("MAE", errors, {**context, "mode": "reconstruction"})
                latent = {**context, "mode": "latent"}
                found += metric_rows("active_units", {"latent": 4}, latent)
                found += metric_rows("MAE_posterior", {"Total": 0.01}, latent)
            found += metric_rows("MAE", errors, prior, dict.fromkeys(signals, (0.01, 0.03)))
            found += metric_rows("RMSE", errors, prior) + metric_rows("CRPS", errors, prior)
            found += metric_rows("variance_ratio", dict.fromkeys(signals[:-1], 0.8 if role == "model" else 3.0), prior)
    return found


def text(found: list[dict[str, Any]], width: int = 100) -> str:
    stream = StringIO()
    print_tables(found, Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def test_one_block_a_protocol_in_readable_units_and_order() -> None:
    first, second = summarise(rows("honest") + rows("paper"))
    assert (first.title, second.title) == ("honest protocol, cell split", "paper protocol, cell split")
    assert first.columns == [("V", "mV"), ("I", "mA"), ("T", "°C"), ("t", "s"), ("Qc", "mAh"), ("Total", "")]
    assert [g.title for g in first.groups][:2] == ["MAE, reconstruction", "MAE, prior mean"]
    assert first.groups[1].lines[0].model == "rcvae"
    assert first.groups[1].lines[0].values[0].mean == pytest.approx(18.0)
    assert first.groups[1].lines[0].values[2].mean == pytest.approx(0.018)


def test_best_value_is_marked_among_rivals_only() -> None:
    found = rows("paper") + [{"protocol": "paper", "seed": None, "split": "sample", **r} for r in paper_rows(100)]
    (block,) = summarise(found)
    groups = {g.title: g for g in block.groups}
    assert [line.model for line in groups["MAE, reconstruction"].lines] == ["rcvae", "paper (Table 1)"]
    assert not any(v.best for line in groups["MAE, reconstruction"].lines for v in line.values)
    for title in ("MAE, prior mean", "CRPS, prior draws"):
        assert [line.values[0].best for line in groups[title].lines] == [True] + [False] * 5
    # 0.8 is nearer to 1 than 3 is.
    assert groups["Variance ratio → 1"].lines[0].values[0].best


def test_seeds_are_joined_and_a_single_one_is_named() -> None:
    (block,) = summarise(rows(seeds=(0, 1, 2)))
    value = block.groups[1].lines[0].values[0]
    assert (value.mean, value.spread) == (pytest.approx(19.8), pytest.approx(1.8))
    assert "3 seeds (0, 1, 2): mean ± standard deviation" in block.caption
    assert "50 prior samples a condition" in block.caption
    assert "480 test samples" in block.caption
    assert "19.8±1.8" in text(rows(seeds=(0, 1, 2)))
    assert "single seed (0)" in text(rows())


def test_table_fits_100_columns_whole() -> None:
    shown = text(rows(seeds=(0, 1, 2, 3, 4)))
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    assert all(name in shown for name in ("rcvae", *BASELINES, "MAE, reconstruction", "latent"))


def test_one_signal_has_no_total_and_its_own_unit() -> None:
    found = rows(signals=["discharge_capacity_Ah", "Total"])
    (block,) = summarise(found)
    assert block.columns == [("Qd", "mAh")]
    assert ("MAE, z posterior", "mAh") in block.latent_columns
    assert "mixes" not in text(found)


def test_markdown_has_rmse_intervals_and_bold() -> None:
    page = to_markdown(rows())
    assert "*RMSE, prior mean*" in page
    assert "**18** (10 to 30)" in page
    assert "| active units |" in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("| ") and "rcvae" in line}
    assert widths == {8, 4}


def test_missing_values_are_dashes_and_the_papers_shared_remark_is_in_the_caption() -> None:
    found = rows("paper")
    for row in found:
        if row["signal"] == "current_A":
            row["value"] = None
    for row in paper_rows(20):
        found.append({"protocol": "paper", "seed": None, "split": "x", **row, "note": f"other data; {row['note']}"})
    assert "–" in text(found)
    assert "other data" in " ".join(text(found).split())
    assert "- paper, I MAE: other data; printed 0.286, x 1.21 to A" in to_markdown(found)


def test_numbers_and_labels() -> None:
    assert [number(x) for x in (0.02234, 9.7, 329.12, 12345.6, 22.0, 0.0, 1e-12)] == [
        "0.0223", "9.70", "329", "12346", "22", "0", "0",
    ]  # fmt: skip
    assert number(float("nan")) == "–"
    assert number(float("inf")) == "inf"
    assert with_unit(words("temperature_degC"), "degC") == "Temperature [°C]"
    assert grid_label("voltage_V") == "Voltage [V]"
    assert words("relaxation_voltage_V") == "relaxation voltage"
