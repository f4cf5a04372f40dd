"""The table of a leaderboard: planted winners win, ties are shared, floors take no part, failures are told."""

import json
from pathlib import Path
from typing import Any

import pytest

from batgen.files import write_json
from batgen.report.figures.leaderboard import draw_leaderboard
from batgen.report.figures.style import save
from batgen.report.leaderboard_boards import Board, Entry
from batgen.report.leaderboard_table import Failure, summarise, to_markdown, to_plain

BOTH = {"How close": 1.0, "How far to trust it": 1.0}
METRICS = {  # metric: family, signal, unit, direction, value of the good one (the floor too), of the bad one
    "RMSE": ("fidelity", "voltage_V", "V", "lower", 0.010, 0.030),
    "energy_score": ("conditional", "curve", "1", "lower", 0.2, 0.4),
    "C2ST": ("fidelity", "curve", "1", "lower", 0.55, 0.99),
    "coverage_80": ("calibration", "voltage_V", "1", "", 0.79, 0.95),
    "coverage": ("diversity", "curve", "1", "higher", 0.9, 0.1),
    "membership_AUC": ("memorisation", "curve", "1", "half", 0.48, 0.8),
}


def row(method: str, metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    family, signal, unit, direction, floor, _ = METRICS[metric]
    role = "model" if method in ("good", "bad") else "baseline"
    return {
        "kind": "curves", "board": "curves", "run": method if role == "model" else "good", "protocol": "honest",
        "seed": 0, "method": method, "model": method, "role": role, "test_set": "test", "family": family,
        "metric": metric, "signal": signal, "value": value, "low": None, "high": None, "unit": unit,
        "direction": direction, "floor": floor, "n": 9, **more,
    }  # fmt: skip


def planted(seeds: tuple[int, ...] = (0, 1)) -> list[dict[str, Any]]:
    rows = []
    for protocol in ("paper", "honest"):
        for seed in seeds:
            for metric, (*_, good, bad) in METRICS.items():
                shift = 1.0 + 0.01 * seed
                about: dict[str, Any] = {"protocol": protocol, "seed": seed, "low": 0.0, "high": 1.0}
                rows += [row("good", metric, good * shift, **about), row("bad", metric, bad * shift, **about)]
                rows.append(row("base", metric, (good + bad) / 2 * shift, **about))
    return rows


def entry(board: Board, name: str) -> Entry:
    return next(e for e in board.entries if e.model == name)


def test_the_planted_winner_wins_every_column_and_the_floor_none() -> None:
    (board,) = summarise(planted())
    assert board.protocols == ["honest", "paper"]
    assert [e.model for e in board.entries] == ["good", "bad", "base"]  # models first, each by rank
    for protocol in board.protocols:
        assert entry(board, "good").ranks[protocol] == BOTH
        assert entry(board, "bad").overall(protocol) == pytest.approx(3.0)
        assert [c.best for c in entry(board, "good").cells[protocol]] == [True] * len(METRICS)
        assert not any(c.best for c in board.floor.cells[protocol])
        assert not any(c.best for c in entry(board, "bad").cells[protocol])


def test_seeds_are_joined_with_their_standard_deviation_in_small_units() -> None:
    (board,) = summarise(planted())
    cell = entry(board, "good").cells["honest"][0]
    assert board.headings[0].unit == "mV"
    assert (cell.mean, cell.spread) == (pytest.approx(10.05), pytest.approx(0.1 / 2**0.5))
    (alone,) = summarise(planted(seeds=(0,)))
    cell = entry(alone, "good").cells["honest"][0]
    assert (cell.low, cell.high) == (0.0, 1000.0)  # the interval over cells of the single seed


def test_ties_share_their_rank_and_are_all_bold() -> None:
    rows = [row("good", "RMSE", 0.01), row("bad", "RMSE", 0.0100001), row("base", "RMSE", 0.02)]
    (board,) = summarise(rows)
    assert [entry(board, n).overall("honest") for n in ("good", "bad", "base")] == [1.5, 1.5, 3.0]
    assert [entry(board, n).cells["honest"][0].best for n in ("good", "bad", "base")] == [True, True, False]


@pytest.mark.parametrize(
    ("metric", "better", "worse"),
    [
        ("coverage_80", 0.7, 0.95),  # nominal is best, not the highest
        ("coverage_80", 0.85, 0.7),
        ("membership_AUC", 0.45, 0.6),
        ("RMSE", 1.0, 2.0),
        ("C2ST", 0.6, 0.7),
    ],
)
def test_direction_of_each_metric(metric: str, better: float, worse: float) -> None:
    (board,) = summarise([row("bad", metric, worse), row("good", metric, better)])
    assert entry(board, "good").cells["honest"][0].best
    assert not entry(board, "bad").cells["honest"][0].best


def test_a_classifier_below_guessing_is_no_better_than_guessing() -> None:
    (board,) = summarise([row("bad", "C2ST", 0.42), row("good", "C2ST", 0.5)])
    assert entry(board, "good").ranks == entry(board, "bad").ranks == {"honest": {"How close": 1.5}}


def test_a_generator_that_fails_ranks_last_and_says_so() -> None:
    (board,) = summarise([row("bad", "RMSE", None), row("good", "RMSE", 5.0)])  # null: infinite
    assert entry(board, "bad").ranks["honest"] == {"How close": 2.0}
    assert "fails" in to_markdown([board], "sim", [], {})


def test_what_others_have_and_a_model_has_not_is_its_last_place() -> None:
    # "base" is second in the other two columns of trust
    rows = [r for r in planted((0,)) if not (r["method"] == "base" and r["metric"] == "coverage")]
    (board,) = summarise(rows)
    assert entry(board, "bad").ranks["honest"]["How far to trust it"] == pytest.approx((3 + 2 + 3) / 3)
    assert entry(board, "base").ranks["honest"]["How far to trust it"] == pytest.approx((2 + 3 + 2) / 3)
    assert "–" in to_markdown([board], "sim", [], {})


def test_a_model_that_a_protocol_did_not_judge_has_no_rank_there() -> None:
    rows = [r for r in planted((0,)) if not (r["method"] == "good" and r["protocol"] == "honest")]
    (board,) = summarise(rows)
    assert entry(board, "good").ranks["honest"] == {}
    assert entry(board, "good").ranks["paper"] == BOTH
    assert [e.model for e in board.entries] == ["bad", "good", "base"]


def test_only_the_first_test_set_counts_but_cases_of_pulses_are_averaged() -> None:
    rows = [row("good", "RMSE", 0.01), row("good", "RMSE", 0.03, test_set="other")]
    (board,) = summarise(rows)
    assert entry(board, "good").cells["honest"][0].mean == pytest.approx(10.0)
    (pulses,) = summarise([{**r, "kind": "pulses"} for r in rows])
    assert entry(pulses, "good").cells["honest"][0].mean == pytest.approx(20.0)


def test_baselines_of_a_second_run_do_not_count_twice() -> None:
    rows = [row("good", "RMSE", 0.01), row("bad", "RMSE", 0.03), row("base", "RMSE", 0.02)]
    rows.append({**row("base", "RMSE", 0.9), "run": "bad"})
    (board,) = summarise(rows)
    assert entry(board, "base").cells["honest"][0].mean == pytest.approx(20.0)


@pytest.mark.parametrize(("paper", "shown"), [(("eol", "ecl"), "ecl"), (("eol",), "eol")])
def test_the_condition_shown_is_one_that_every_protocol_was_told(paper: tuple[str, ...], shown: str) -> None:
    def asked(protocol: str, name: str) -> dict[str, Any]:
        about = {"family": "conditional", "metric": "condition_error", "signal": name, "unit": "cycles"}
        return {**row("good", "RMSE", 5.0, protocol=protocol), **about}

    rows = [asked("paper", name) for name in paper] + [asked("honest", name) for name in ("soh", "ecl")]
    (board,) = summarise(rows)
    assert [h.title for h in board.headings] == [f"condition error {shown}"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ((3, 3), "Measured: 118 curves of 3 cells."),
        ((3, 4), "Measured: 118 curves of 3–4 cells."),
        ((1, 1), "Measured: 118 curves of 1 cell (one cell: no interval)."),
        ((None, None), "Measured: 118 curves."),
    ],
)
def test_the_caption_says_how_many_curves_of_how_many_cells(cells: tuple[int | None, ...], words: str) -> None:
    rows = [row("good", "RMSE", 0.01, seed=seed, n=118, cells=count) for seed, count in enumerate(cells)]
    assert words in to_markdown(summarise(rows), "sim", [], {})
    apart = to_markdown(summarise([rows[0], row("good", "RMSE", 0.01, protocol="paper", n=7)]), "sim", [], {})
    assert "Measured: honest: 118 curves" in apart
    assert "; paper: 7 curves." in apart


def test_main_signal_and_all_checks_of_physics() -> None:
    def check(name: str, value: float) -> dict[str, Any]:
        about = {"family": "physics", "metric": "pass_rate", "signal": name, "unit": "1", "direction": "higher"}
        return {**row("good", "RMSE", value), **about}

    rows = [row("good", "RMSE", 5.0, signal="current_A", unit="A"), row("good", "RMSE", 0.01)]
    (board,) = summarise([*rows, check("finite", 1.0), check("cc_cv", 0.5)])
    assert [h.title for h in board.headings] == ["RMSE V", "physics passed"]
    assert [c.mean for c in entry(board, "good").cells["honest"]] == [pytest.approx(10.0), pytest.approx(0.75)]
    (rare,) = summarise([row("good", "RMSE", 0.01, family="rare")])
    assert not rare.headings  # errors at rare conditions are no errors of the whole


def test_markdown_sets_protocols_side_by_side_and_tells_failures() -> None:
    failures = [
        Failure("broken", "curves", "curves", "CUDA | out\nof memory"),
        Failure("lost", "profiles", "profiles", "no"),
    ]
    run = {
        "model": "broken",
        "kind": "curves",
        "state": "failed",
        "reason": "CUDA | out",
        "folder": "b",
        "needs": ["a=1"],
    }
    text = to_markdown(summarise(planted(), failures), "sim", [run], {"knn": "good"})
    assert "RMSE V [mV] ↓, honest | RMSE V [mV] ↓, paper" in text
    assert text.count("| rank, honest | rank, paper | rank in both, honest | rank in both, paper |") == 2
    alone = to_markdown(summarise([row("good", "RMSE", 0.01)]), "sim", [], {})
    assert "|  | rank, honest | RMSE V" in alone  # one table: there is no rank in both
    assert "- broken: failed: CUDA / out of memory" in text
    assert "- lost: failed: no" in text
    assert "| broken | curves | failed: CUDA / out | a=1 | b |" in text
    assert "knn beside good" in text
    assert "*measured neighbour*" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|") and "rank" in line}
    lines = [line for line in text.splitlines() if line.startswith(("| **good**", "| broken | failed |"))]
    assert {line.count("|") for line in lines} == widths


def test_plain_values_are_json(tmp_path: Path) -> None:
    write_json(tmp_path / "board.json", to_plain(summarise(planted())[0]))
    found = json.loads((tmp_path / "board.json").read_text())
    assert found["entries"][0]["ranks"]["honest"] == {"rank": 1.0, "tables": BOTH}
    assert found["entries"][0]["shown"]["honest"][0] == "10.1 ± 0.1"


def test_figure_has_a_panel_for_each_main_metric_and_draws_what_is_far_out_at_the_edge(tmp_path: Path) -> None:
    rows = planted()
    for r in rows:
        if r["method"] == "bad" and r["metric"] == "RMSE":
            r["value"] *= 100
    figure = draw_leaderboard(summarise(rows, [Failure("broken", "curves", "curves", "no")]), "sim")
    titles = [ax.get_xlabel() for ax in figure.get_axes()]
    assert titles == ["RMSE V [mV]", "energy score", "C2ST", "80 % coverage V"]
    first = figure.get_axes()[0]
    assert first.get_xlim()[1] < 200
    assert sum(line.get_marker() == ">" for line in first.lines) == 2
    assert save(figure, tmp_path / "leaderboard.png").stat().st_size > 10_000


def test_nothing_to_draw_is_an_empty_sheet() -> None:
    assert not draw_leaderboard(summarise([], [Failure("a", "curves", "curves", "no")]), "sim").get_axes()
