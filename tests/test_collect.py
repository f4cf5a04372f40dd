"""Collecting: one tidy table of any multirun, the paper's tables in the paper's order, figures of what was varied."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from rich.console import Console

from batgen.collect import collect, settings
from batgen.collect_cli import main
from batgen.collect_read import read_sweep
from batgen.errors import BatgenError, DataError
from batgen.evaluation.paper import AMPERE, paper_rows, printed_rows
from batgen.files import write_json
from batgen.jobs import FAILED, LOCK
from batgen.report.ablation_table import layers_in_order, paper_tables, reconstruction_errors
from batgen.report.headline import headlines

QUIET = Console(quiet=True)
LAYERS = ["None", "Embedding", *(f"Encoder_{k}" for k in range(2, 17)), *(f"Decoder_{k}" for k in range(1, 16))]


def row(metric: str, signal: str, value: float, **more: Any) -> dict[str, Any]:
    about = {"protocol": "paper", "seed": 0, "model": "rcvae", "role": "model", "mode": "reconstruction", "cycles": 20}
    return {
        **about,
        "data": "sim",
        "metric": metric,
        "signal": signal,
        "value": value,
        "unit": "V",
        "direction": "lower",
        **more,
    }


def written(
    folder: Path, jobs: Iterable[tuple[Mapping[str, Any], list[dict[str, Any]] | None]], kind: str = "ablation"
) -> Path:
    """A sweep folder with these jobs: values of the axes, and the rows left (None: not begun)."""
    entries = []
    for i, (values, rows) in enumerate(jobs):
        name = f"job{i}"
        entries.append({"folder": name, "words": [], "values": dict(values)})
        if rows is not None:
            write_json(folder / name / "metrics.json", {"rows": rows})
            write_json(folder / name / "run.json", {})
    axes: dict[str, list[Any]] = {}
    for entry in entries:
        for key, value in entry["values"].items():
            axes.setdefault(key, []).append(value)
    write_json(folder / "sweep.json", {"kind": kind, "name": "mine", "typed": [], "axes": axes, "jobs": entries})
    return folder


def as_the_paper(cycles: int, layer: str, by: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    """Rows of a run that found what the paper prints, and `by` more."""
    return [row(r["metric"], r["signal"], r["value"] + by, cycles=cycles, **more) for r in paper_rows(cycles, layer)]


def removed(layer: str) -> str | None:
    return None if layer == "None" else layer.lower()


def test_the_papers_tables_come_in_the_papers_order_with_no_difference_to_themselves(tmp_path: Path) -> None:
    sweep = written(tmp_path, [({"model.remove": removed(n), "cycles": 20}, as_the_paper(20, n)) for n in LAYERS])
    collect(sweep, tmp_path / "out", QUIET)
    printed = [r["detach"] for r in printed_rows("table_s1") if r["cycles"] == "20"]
    for name in ("table_2", "table_s1", "table_s2"):
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert list(table["detach"]) == list(dict.fromkeys(printed))
        assert len(table) == 32
        differences = table[[c for c in table if c.endswith("difference")]]
        assert differences.notna().to_numpy().all()
        assert differences.abs().to_numpy().max() < 1e-12
        text = (tmp_path / "out" / f"{name}.md").read_text()
        assert text.index("| Decoder_1 |") < text.index("| Decoder_2 |") < text.index("| Encoder_2 |")
        assert text.index("| None |") < text.index("| Embedding |")
        assert "The paper's numbers are on MIT, ours on sim" in text
    found = pd.read_csv(tmp_path / "out" / "table_2.csv", keep_default_na=False)
    first = next(
        r
        for r in printed_rows("table_s1")
        if (r["detach"], r["signal"], r["metric"]) == ("Decoder_1", "current_A", "MAE")
    )
    assert math.isclose(float(found["MAE I [A], paper"][0]), float(first["value"]) * AMPERE)
    assert list(found.columns)[2::5] == ["MAE", "RMSE", "MAE V [V]", "RMSE V [V]", "MAE I [A]", "RMSE I [A]"]
    for signal in ("voltage_V", "current_A", "temperature_degC", "charge_capacity_Ah"):
        assert (tmp_path / "out" / f"heatmap_{signal}_paper.png").stat().st_size > 10_000
    assert not (tmp_path / "out" / "settings.png").exists()


def test_table_1_is_that_of_the_full_model_over_cycles(tmp_path: Path) -> None:
    jobs = [({"cycles": c}, as_the_paper(c, "None", by=0.01, data="mit")) for c in (20, 40, 60, 80, 100)]
    collect(written(tmp_path, jobs), tmp_path / "out", QUIET)
    table = pd.read_csv(tmp_path / "out" / "table_1.csv")
    assert list(table["metric"]) == ["MAE", "RMSE"] * 5
    assert list(table["signal"])[::2] == ["V [V]", "I [A]", "T [°C]", "Qc [Ah]", "Total"]
    assert (table["100 cycles, difference"] - 0.01).abs().max() < 1e-12
    assert "on MIT, ours" not in (tmp_path / "out" / "table_1.md").read_text()
    assert not (tmp_path / "out" / "table_2.md").exists()


def test_seeds_are_averaged_and_the_honest_protocol_stands_beside() -> None:
    about = {"role": "model", "method": "rcvae", "model.remove": "encoder_4"}
    rows = [row("MAE", "voltage_V", v, seed=s, **about) for s, v in enumerate((0.02, 0.04))]
    rows += [row("MAE", "voltage_V", 0.05, protocol="honest", **about)]
    rows += [row("MAE", "voltage_V", 9.0, **{**about, "role": "baseline", "method": "knn"})]
    (_, table_s1, _) = paper_tables(rows, [(40, "None"), (20, "Encoder_4")])[1:]
    assert [stubs for stubs, _ in table_s1.lines] == [("20", "Encoder_4"), ("40", "None")]
    found = table_s1.lines[0][1][0]
    assert (found.ours, found.honest) == (pytest.approx(0.03), 0.05)
    assert found.spread == pytest.approx(0.02 / math.sqrt(2))
    assert math.isnan(table_s1.lines[1][1][0].ours), "a job that did not run has an empty line"
    assert not math.isnan(table_s1.lines[1][1][0].paper)


def test_a_seed_in_two_folders_counts_once() -> None:
    rows = [row("MAE", "voltage_V", v, seed=s, method="rcvae") for s, v in ((0, 0.02), (0, 0.02), (0, 0.02), (1, 0.04))]
    found = reconstruction_errors(rows)[((20, "None"), "MAE", "voltage_V")]
    assert found.ours == pytest.approx(0.03)
    assert found.spread == pytest.approx(0.02 / math.sqrt(2))
    one = reconstruction_errors(rows[:2])[((20, "None"), "MAE", "voltage_V")]
    assert math.isnan(one.spread), "one seed has no spread"


def test_the_papers_tables_say_how_ours_was_trained(tmp_path: Path) -> None:
    sweep = written(tmp_path, [({"cycles": 20}, as_the_paper(20, "None"))])
    (sweep / "job0" / "config.yaml").write_text("trainer: {max_epochs: 2, patience: 3}\n")
    content = json.loads((sweep / "sweep.json").read_text())
    content["typed"] = ["ablation=rcvae_cycles", "data=sim", "cycles=20", "trainer=smoke", "ablation.name=a"]
    write_json(sweep / "sweep.json", content)
    collect(sweep, tmp_path / "out", QUIET)
    text = (tmp_path / "out" / "table_1.md").read_text()
    assert "Trained for 2 epochs at most with patience 3; in the paper 1000 with patience 100." in text
    assert "Typed, and not the paper's: trainer=smoke." in text


def test_what_is_unreadable_in_print_stays_empty_and_doubts_are_told_once() -> None:
    tables = paper_tables(
        [row("MAE", "voltage_V", 0.02, method="rcvae", cycles=60)], [(60, "Encoder_2"), (60, "Encoder_10")]
    )
    (by_name,) = [{t.name: t for t in tables}]
    assert math.isnan(by_name["table_s1"].lines[0][1][0].paper)
    doubts = [note for note in by_name["table_s2"].notes if note.startswith("paper: ")]
    assert len(doubts) == len({note.split(": ")[1] for note in doubts})


def test_layers_that_the_paper_does_not_have_come_last() -> None:
    found = layers_in_order(["Encoder_20", "Embedding", "None", "Decoder_1", "None"])
    assert found == ["Decoder_1", "None", "Embedding", "Encoder_20"]


def test_the_table_is_tidy_and_says_what_was_varied(tmp_path: Path) -> None:
    lists = [0.05, 0.15]
    jobs = [
        ({"model.remove": None, "cycles": 20, "model": "rcvae", "seed": [0, 1]}, [row("MAE", "Total", 0.1, train_soc=lists)]),
        ({"model.remove": "encoder_4", "cycles": 20, "model": "rcvae", "seed": [0, 1]}, [row("MAE", "Total", 0.2, seed=1)]),
        ({"model.remove": "encoder_4", "cycles": 40, "model": "rcvae", "seed": [0, 1]},
         [row("MAE", "Total", 0.3, seed=None, method="average")]),
    ]  # fmt: skip
    returned = collect(written(tmp_path, jobs), tmp_path / "out", QUIET)
    stored = pd.read_parquet(tmp_path / "out" / "table.parquet")
    pd.testing.assert_frame_equal(stored, returned, check_dtype=False)
    assert list(stored["run"]) == ["job0", "job1", "job2"]
    assert list(stored["model.remove"]) == ["null", "encoder_4", "encoder_4"]
    assert list(stored["seed"].fillna(-1)) == [0, 1, -1]
    assert list(stored["cycles"]) == [20, 20, 20], "what a row says of itself"
    assert list(stored["method"]) == ["rcvae", "rcvae", "average"]
    assert list(stored["model"]) == ["rcvae"] * 3
    assert json.loads(stored["train_soc"][0]) == lists
    assert list(pd.read_csv(tmp_path / "out" / "table.csv").columns) == list(stored.columns)


def test_unfinished_sweeps_are_collected_and_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [({"model.hidden": h}, [row("MAE", "Total", 0.1)] if h == 8 else None) for h in (8, 16, 32, 64)]
    sweep = written(tmp_path, jobs)
    write_json(sweep / "job1" / "paper-seed0" / "metrics.json", {"rows": [row("MAE", "Total", 0.2)]})
    write_json(sweep / "job2" / FAILED, {"reason": "no cells left.\nAt all."})
    (sweep / "job3").mkdir()
    with FileLock(sweep / "job3" / LOCK):
        table = collect(sweep, tmp_path / "out", Console())
    said = capsys.readouterr().out
    assert "1 of 4 jobs" in said
    assert "job1: stopped; 1 of its parts" in said
    assert "job2: failed: no cells left." in said
    assert "job3: running" in said
    assert len(table) == 2
    text = (tmp_path / "out" / "collected.md").read_text()
    assert "| hidden=8 | 0.100 |" in text
    assert "| hidden=32 | – |" in text
    assert "Missing, 3 of 4 jobs" in text
    assert (tmp_path / "out" / "settings.png").stat().st_size > 5_000


def test_settings_are_averaged_over_their_seeds(tmp_path: Path) -> None:
    rows = [[row("CRPS", "Total", v, mode="prior", seed=s, protocol="honest")] for s, v in enumerate((0.1, 0.3))]
    jobs = [({"case": case, "seed": s}, rows[s]) for case in ("all", "none") for s in (0, 1)]
    found = settings(read_sweep(written(tmp_path, jobs)))
    assert [label for label, _ in found] == ["case=all", "case=none"]
    (headline,) = found[0][1]
    assert headline.value == pytest.approx(0.2)
    assert headline.spread == pytest.approx(0.2 / math.sqrt(2))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("MAE", "Total", 0.126, unit="mixed"), row("CRPS", "Total", 9.0, mode="prior")], "Total MAE 0.126"),
        ([row("CRPS", "Total", 0.5, mode="prior", protocol="honest", unit="mixed")], "Total CRPS 0.5"),
        (
            [
                row("MAPE", "SOH", v, method="average", calibration=c, unit="%")
                for v, c in ((2.0, "none"), (4.0, "none"), (9.0, "random"))
            ],
            "MAPE of SOH 3 %",
        ),
        (
            [row("energy_score", "profile", v, test_set=s, unit="1") for v, s in ((1.5, "cells"), (9.0, "val"))],
            "energy score 1.5",
        ),
        (
            [row("CRPS", "q", v, method="model", horizon=h, unit="%") for v, h in ((1.25, "all"), (9.0, "1-100"))],
            "CRPS 1.25 %",
        ),
    ],
)  # fmt: skip
def test_each_family_is_known_by_one_number(rows: list[dict[str, Any]], said: str) -> None:
    (found,) = headlines([*rows, row("MAE", "Total", 0.0, role="baseline")])
    assert found.text() == said


def test_the_last_run_of_a_search_is_collected(tmp_path: Path) -> None:
    sweep = written(tmp_path, [({"model.optim.lr": 1e-3}, [row("MAE", "Total", 0.1)])], kind="search")
    table = collect(sweep, tmp_path / "out", QUIET)
    assert table["model.optim.lr"][0] == 1e-3


def test_what_a_job_does_not_vary_is_no_null(tmp_path: Path) -> None:
    """beta is searched at one loss_reading only, hidden was added later: a job without them has neither value."""
    jobs = [
        ({"model.loss_reading": "mean_sum", "model.hidden": 8}, [row("MAE", "Total", 0.1)]),
        ({"model.loss_reading": None, "model.beta": None}, [row("MAE", "Total", 0.2)]),
    ]
    sweep = written(tmp_path, jobs)
    assert [label for label, _ in settings(read_sweep(sweep))] == [
        "loss_reading=mean_sum hidden=8",
        "loss_reading=null beta=null",
    ]
    table = collect(sweep, tmp_path / "out", QUIET)
    assert list(table["model.loss_reading"]) == ["mean_sum", "null"]
    assert list(table["model.beta"].isna()) == [True, False]
    assert list(table["model.hidden"].isna()) == [False, True]
    assert table["model.hidden"][0] == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out=x"], "sweep=DIR is missing"),
        (["sweeep=x"], "did you mean 'sweep'"),
        (["sweep=/nowhere"], "is no multirun"),
    ],
)
def test_bad_words_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(BatgenError, match=message):
        main(words)


def test_a_sweep_without_a_number_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    sweep = written(tmp_path, [({"cycles": 20}, None)])
    with pytest.raises(DataError, match="none of its 1 jobs has left a metrics.json yet"):
        collect(sweep, tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()
    (sweep / "sweep.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        read_sweep(sweep)
    (sweep / "sweep.json").write_text('{"kind": "grid", "name": "a", "typed": [], "axes": [], "jobs": []}')
    with pytest.raises(DataError, match="damaged"):
        read_sweep(sweep)
