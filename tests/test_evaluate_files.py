"""Files of generated curves from any tool, beside measured ones: how they are matched, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from batgen.compared.judged import EvaluateSettings
from batgen.data.curve_set import CurveSet
from batgen.data.exchange import write
from batgen.errors import BatgenError
from batgen.evaluate_cli import main
from batgen.evaluate_files import compare_sets
from tests.evaluation import planted

SETTINGS = EvaluateSettings(rows=60, draws=4)
REAL, TRAIN = planted.law(6, 6, 0, 1000), planted.law(10, 6, 1)
DRAWS = 3


def generated(draws: np.ndarray, **columns: Any) -> CurveSet:
    """(K, N, S, P) as one set of K x N curves; the rows of one draw after those of another."""
    table = REAL.table.iloc[np.tile(np.arange(len(REAL)), len(draws))].reset_index(drop=True).assign(**columns)
    values = draws.reshape(-1, *draws.shape[2:])
    return CurveSet(values, REAL.signals, REAL.axis, REAL.axis_name, table, {"synthetic": True, "model": "other_tool"})


def files(folder: Path, made: CurveSet, ending: str = ".h5") -> list[str]:
    measured = {"synthetic": False}
    write(folder / f"made{ending}", made)
    write(folder / f"real{ending}", replace(REAL, facts=measured))
    write(folder / f"train{ending}", replace(TRAIN, facts=measured))
    return [
        f"{key}={folder / name}{ending}" for key, name in (("generated", "made"), ("real", "real"), ("train", "train"))
    ]


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    return found


def values(folder: Path) -> dict[tuple[str, str], float]:
    return {(row["metric"], row["signal"]): row["value"] for row in content(folder)["rows"]}


@pytest.mark.parametrize("ending", [".h5", ".parquet"])
def test_exact_draws_and_copies_from_files(tmp_path: Path, ending: str) -> None:
    pair = np.tile(np.arange(len(REAL)), DRAWS)
    for maker in (planted.right, planted.copies) if ending == ".h5" else (planted.right,):
        folder = tmp_path / maker.__name__
        words = files(folder, generated(maker(REAL, TRAIN, DRAWS, 0), pair=pair), ending)
        main([*words, f"out={folder / 'out'}", "rows=60"])
        out = folder / "out"
        assert {p.name for p in out.iterdir()} == {"evaluation.json", "evaluation.md", "evaluation.h5", "report.html"}
        about, rows = content(out)["about"], content(out)["rows"]
        assert (about["model"], about["family"]) == ("other_tool", "files")
        assert {row["n"] for row in rows if row["metric"] == "MAE"} == {len(REAL)}
        assert all(row["floor"] is not None for row in rows if row["metric"] == "CRPS")
    found = values(tmp_path / "right" / "out")
    assert found["copy_share", "curve"] == 0.0
    assert found["pass_rate", "coulomb_balance"] > 0.9
    if ending == ".h5":
        copied = values(tmp_path / "copies" / "out")
        assert copied["copy_share", "curve"] == 1.0
        assert copied["CRPS", "time_s"] > 2 * found["CRPS", "time_s"]


def test_the_default_folder_and_what_is_said_without_training_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    one = planted.draws_of(REAL, 1, 0)
    words = files(tmp_path, generated(one).only(["voltage_V", "current_A"]))
    main(words[:2])
    out = tmp_path / "made-evaluation"
    notes = " ".join(content(out)["notes"])
    assert "nothing can be said of memorisation" in notes
    assert "left out: charge_capacity_Ah, temperature_degC, time_s" in notes
    assert "note: no training curves given" in capsys.readouterr().out
    assert "memorisation" not in {row["family"] for row in content(out)["rows"]}
    assert {row["signal"] for row in content(out)["rows"] if row["metric"] == "MAE"} == {"voltage_V", "current_A"}


def test_matched_by_pair_whatever_the_order() -> None:
    draws = planted.draws_of(REAL, DRAWS, 0)
    order = np.random.default_rng(0).permutation(DRAWS * len(REAL))
    pair = np.tile(np.arange(len(REAL)), DRAWS)
    made = generated(draws, pair=pair).take(order)
    found, notes = compare_sets(made, REAL, TRAIN, SETTINGS)
    assert not notes
    assert found.draws is not None
    assert found.draws.shape == draws.shape
    for row in range(len(REAL)):
        got = {found.draws[k, row].tobytes() for k in range(DRAWS)}
        assert got == {draws[k, row].tobytes() for k in range(DRAWS)}
    np.testing.assert_array_equal(found.generated.values, found.draws[0])
    assert set(found.told) == {"ecl", "eol", "soh", "start_temperature_degC", "c_rate", "c1", "q1", "c2"}


def test_matched_by_cell_and_cycle_where_no_pair_is_given() -> None:
    draws = planted.draws_of(REAL, DRAWS, 0)
    made = generated(draws)
    made = replace(made, table=made.table[["cell_id", "ecl"]])
    found, _ = compare_sets(made, REAL, TRAIN, SETTINGS)
    np.testing.assert_array_equal(found.draws, draws)
    assert found.told == ("ecl",)


def test_the_fewest_draws_of_a_row_decide_and_rows_without_any_are_left_out() -> None:
    draws = planted.draws_of(REAL, DRAWS, 0)
    pair = np.tile(np.arange(len(REAL)), DRAWS)
    pair[0], pair[[1, 1 + len(REAL), 1 + 2 * len(REAL)]] = -1, -1
    found, notes = compare_sets(generated(draws, pair=pair), REAL, TRAIN, SETTINGS)
    assert found.draws is not None
    assert found.draws.shape[:2] == (2, len(REAL) - 1)
    assert 1 not in np.flatnonzero(
        np.isin(REAL.column("ecl"), found.real.column("ecl")) & (REAL.cells == REAL.cells[1])
    )
    assert "35 of 36" in notes[0]
    few, notes = compare_sets(generated(draws, pair=np.tile(np.arange(36), 3)), REAL, TRAIN, EvaluateSettings(20, 2))
    assert few.draws is not None
    assert few.draws.shape[:2] == (2, 20)
    assert few.train is not None
    assert len(few.train) == 20


def test_unmatched_sets_are_compared_as_wholes() -> None:
    other = planted.law(9, 5, 7, 5000)
    found, notes = compare_sets(other, REAL, TRAIN, SETTINGS)
    assert found.draws is None
    assert len(found.generated) == 45
    assert "only whole sets" in notes[0]
    bare = replace(other, table=other.table[["cell_id"]])
    assert compare_sets(bare, REAL, None, SETTINGS)[0].told == ()


def refused(folder: Path, words: list[str], says: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(BatgenError, match=says):
        main([*words, f"out={folder / 'out'}"])
    assert sorted(folder.rglob("*")) == before, "nothing is left behind"


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    draws = planted.draws_of(REAL, 1, 0)
    good, real, _ = files(tmp_path, generated(draws))
    cases = {
        "signals": replace(generated(draws).only(["voltage_V"]), signals=("energy_Wh",)),
        "points": CurveSet(
            draws[0, :, :, :20], REAL.signals, REAL.axis[:20], REAL.axis_name, REAL.table, {"synthetic": True}
        ),
        "pair": generated(draws, pair=np.arange(len(REAL)) + 5),
    }
    for name, made in cases.items():
        write(tmp_path / f"{name}.h5", made)
    refused(tmp_path, [f"generated={tmp_path / 'signals.h5'}", real], "energy_Wh.*no signal in common")
    refused(tmp_path, [f"generated={tmp_path / 'points.h5'}", real], r"points\.h5: 20 points.*Resample")
    refused(tmp_path, [good, real, f"train={tmp_path / 'points.h5'}"], r"points\.h5: 20 points")
    refused(tmp_path, [f"generated={tmp_path / 'pair.h5'}", real], "pair=40.*36 curves")
    refused(tmp_path, [good], "real=FILE is missing")
    refused(tmp_path, [good, f"real={tmp_path / 'no.h5'}"], r"no\.h5: no such file")
    refused(tmp_path, [good, real, "trian=x.h5"], "unknown key 'trian'.*train")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    _, real, _ = files(tmp_path, generated(planted.draws_of(REAL, 1, 0)))
    for name, text in {"cut.h5": b"\x89HDF", "what.xyz": b"1", "code.pkl": b"\x80", "odd.csv": b"a,b\n1,2\n"}.items():
        (tmp_path / name).write_bytes(text)
        refused(tmp_path, [f"generated={tmp_path / name}", real], name.replace(".", r"\."))


def test_a_measured_file_without_cells_is_one_cell(tmp_path: Path) -> None:
    good, _, train = files(tmp_path, generated(planted.draws_of(REAL, 1, 0), pair=np.arange(len(REAL))))
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        for name in REAL.signals:
            file[f"curves/{name}"] = REAL.signal(name)
    main([good, f"real={tmp_path / 'plain.h5'}", train, f"out={tmp_path / 'out'}"])
    rows = content(tmp_path / "out")["rows"]
    assert rows
    assert all(
        row["low"] is None or row["metric"] in ("C2ST", "membership_AUC")
        for row in rows
        if row["metric"] != "pass_rate"
    )
