"""The MIT cells over their whole life: small files for rules and errors, the real ones for what the docstrings say."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io

from batgen.data.schema import check_cell
from batgen.data.sources.mit_charge_features import COLUMNS, align
from batgen.data.sources.mit_qdlin import GRID_V, MitQdlin, crosswalk_ids, plausible, read_crosswalk
from batgen.data.sources.mit_summary import MitSummary
from batgen.data.sources.qdv_features import FEATURES, delta_q_features, reference_index
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError

NUMBERS = np.arange(2, 101)


def curves(seed: int = 0) -> np.ndarray:
    """Qd (1000, 99) in Ah which fade smoothly, with some noise."""
    shape = ((3.5 - GRID_V) / 1.5)[:, None]
    noise = np.random.default_rng(seed).normal(0, 1e-4, (1000, 99))
    return np.clip(1.06 * shape ** (0.3 + 0.001 * NUMBERS) * (1 - 0.0005 * NUMBERS) + noise, 0, None)


def test_features_in_closed_form() -> None:
    """d = a x + b on x = 0..1 has var a^2/12, mean a/2 + b, kurtosis 9/5; d = -x^2 has its skewness."""
    x = (np.arange(1000) + 0.5) / 1000
    table = np.stack([0 * x, 0 * x + 0.3, 0.02 * x - 0.05, -(x**2), x * 0 + 0.3], axis=1) + 0.5
    table[:, 0] = table[:, 1] = 0.5
    features = delta_q_features(table, np.array([9, 10, 11, 12, 13]), np.ones(5, dtype=bool), 10)
    assert all(np.isnan(values[:2]).all() for values in features.values())
    got = {name: values[2:4] for name, values in features.items()}
    np.testing.assert_allclose(got["delta_q_log10_var"], np.log10([0.02**2 / 12, 4 / 45]), atol=1e-5)
    np.testing.assert_allclose(got["delta_q_log10_abs_mean"], np.log10([0.04, 1 / 3]), atol=1e-5)
    np.testing.assert_allclose(10 ** got["delta_q_log10_abs_min"], [0.05, 1.0], atol=2e-3)
    skewness = -(1 / 7 - 3 / 15 + 2 / 27) / (4 / 45) ** 1.5  # central moments of x^2, x uniform, turned round
    np.testing.assert_allclose(got["delta_q_skewness"], [0, skewness], atol=1e-4)
    np.testing.assert_allclose(got["delta_q_kurtosis"][0], 1.8, atol=1e-4)
    # a shift has a mean
    flat = {name: values[4] for name, values in features.items()}
    assert flat["delta_q_log10_abs_mean"] == pytest.approx(np.log10(0.3))


def test_a_feature_uses_no_later_cycle() -> None:
    table = curves()
    before = delta_q_features(table, NUMBERS, plausible(table), 10)
    table[:, 50:] *= 0.9  # cycle 52 and later
    after = delta_q_features(table, NUMBERS, plausible(table), 10)
    for name in FEATURES:
        np.testing.assert_array_equal(before[name][:50], after[name][:50])
        assert (before[name][50:] != after[name][50:]).all()
        assert np.isfinite(before[name][NUMBERS > 10]).all()
        assert np.isnan(before[name][NUMBERS <= 10]).all()


def test_reference_where_cycle_10_is_a_glitch() -> None:
    good = np.ones(99, dtype=bool)
    assert NUMBERS[reference_index(NUMBERS, good, 10)] == 10
    good[8] = False
    assert NUMBERS[reference_index(NUMBERS, good, 10)] == 9
    good[:11] = False  # cycles 2 to 12
    assert NUMBERS[reference_index(NUMBERS, good, 10)] == 13
    features = delta_q_features(curves(), NUMBERS, good, 10)
    for values in features.values():
        assert np.isnan(values[NUMBERS <= 13]).all()
        assert np.isfinite(values[NUMBERS > 13]).all()
    assert reference_index(NUMBERS, np.zeros(99, dtype=bool), 10) is None
    none = delta_q_features(curves(), NUMBERS, np.zeros(99, dtype=bool), 10)
    assert all(np.isnan(values).all() for values in none.values())


def test_rows_are_placed_where_it_can_be_proven_only() -> None:
    capacity = np.array([1.0, 1.1, 1.1, 1.2, 1.05, 1.0])
    at, doubt = align(np.array([1.0, 1.2, 1.05]), capacity)
    assert (at.tolist(), doubt) == ([0, 3, 4], "")
    at, doubt = align(np.array([1.1, 1.2]), capacity)  # cycle 1 or 2
    assert at.tolist() == [-1, 3]
    assert "1 fit more than one" in doubt
    at, doubt = align(np.array([1.1, 1.1, 1.2]), capacity)  # both
    assert (at.tolist(), doubt) == ([1, 2, 3], "")
    at, doubt = align(np.array([1.2, 1.3, 1.05]), capacity)
    assert at.tolist() == [3, -1, 4]
    assert "1 have a capacity that no cycle has" in doubt
    at, doubt = align(np.array([1.05, 1.2]), capacity)  # out of order
    assert at.tolist() == [-1, -1]
    assert "none is used" in doubt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cells: 120, 110 and 105 cycles; charge features of the second begin at cycle 3 and skip some, third none."""
    folder = tmp_path / "soh"
    folder.mkdir()
    rows, cycles, losses = [], [], []
    for k, (n, start, date) in enumerate([(120, 2, "2017-05-12"), (110, 1, "2017-06-30"), (105, 1, "2018-04-12")]):
        cycle = np.arange(start, n + 1)
        capacity = np.round(1.07 - 0.19 * (cycle / n) ** 2 - 1e-6 * k, 7)
        table = curves(k)
        if k == 0:
            table[:, 8] *= 30  # cycle 10
        path = tmp_path / f"qdlin/train/cell{k}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(table.round(6)).to_csv(path, header=False, index=False)
        kept = cycle[2:80] if k == 0 else np.delete(cycle[2:], [5, 6, 30])
        features = pd.DataFrame({"capacity": capacity[kept - start]})
        for j, name in enumerate(COLUMNS.values()):
            features[name] = kept + 1000.0 * j
        percycle = f"{date}/b{k}.csv.gz"
        (tmp_path / "charge" / date).mkdir(parents=True)
        features.to_csv(tmp_path / "charge" / percycle, index=False)
        rows.append(
            (f"train/cell{k}.csv.gz", date, k + 1, "4C(80%)-4C", 4.0, 80.0, 4.0, n, percycle if k < 2 else None)
        )
        cycles.append(cycle)
        losses.append(1 - capacity / 1.1)
    names = ["qdlin_file", "batch_date", "batch_index_1based", "charging_policy", "C1", "Q1_percent", "C2"]
    names += ["cycle_life", "percycle_file"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "severson_crosswalk_DERIVED.csv", index=False)
    save(folder, cycles, losses)
    return folder


def save(folder: Path, cycles: list[np.ndarray], losses: list[np.ndarray], **changed: object) -> None:
    arrays = {
        "Num_Cycles_Flt": np.array([[len(c)] for c in cycles], dtype=np.uint16),
        "Cycles_Flt": np.concatenate(cycles).astype(np.uint16)[:, None],
        "PCL_Flt": np.concatenate(losses)[:, None],
        "train_ind": np.array([[2]], dtype=np.uint8),
        "test_ind": np.array([[1]], dtype=np.uint8),
        "secondary_test_ind": np.array([[3]], dtype=np.uint8),
    }
    scipy.io.savemat(folder / "SeversonBattery.mat", arrays | changed)


def source(folder: Path, **options: object) -> MitSummary:
    beside = {"qdlin_folder": str(folder.parent / "qdlin"), "percycle_folder": str(folder.parent / "charge")}
    return MitSummary(folder=str(folder), **(beside | options))  # type: ignore[arg-type]


def test_cells_and_columns(folder: Path) -> None:
    first, second, third = (check_cell(c) for c in source(folder).cells())
    assert [c.info.cell_id for c in (first, second, third)] == ["b1c0", "b2c1", "b3c2"]
    assert first.summary["cycle"].tolist() == list(range(2, 121))
    np.testing.assert_allclose(first.summary["discharge_capacity_Ah"].iloc[-1], 0.88, atol=1e-9)
    assert (first.info.eol_cycle, first.info.c1, first.info.q1, first.info.discharge_c_rate) == (120, 4.0, 0.8, 4.0)
    # cycle 10 of the first is a glitch, and cycle 9 stands in; the 99 columns end at cycle 100
    assert [r.record for r in first.rejected] == ["Qd(V) of cycle 10", "Qd(V) of cycle 10"]
    assert "cycle 9 is the reference" in first.rejected[1].reason
    known = first.summary["cycle"][first.summary["delta_q_log10_var"].notna()]
    assert known.tolist() == list(range(11, 101))
    expected = delta_q_features(curves(1).round(6), NUMBERS, np.ones(99, dtype=bool), 10)
    inside = second.summary["cycle"].between(2, 100)
    for name in FEATURES:
        np.testing.assert_allclose(second.summary.loc[inside, name], expected[name], rtol=1e-12)
    # charge features hold 1000 j + cycle
    has = second.summary["cc_charge_time_s"].notna()
    assert second.summary["cycle"][~has].tolist() == [1, 2, 8, 9, 33]
    for j, name in enumerate(COLUMNS):
        np.testing.assert_array_equal(second.summary.loc[has, name], second.summary["cycle"][has] + 1000.0 * j)
    assert second.units.endswith("charge features of 105 of 110 cycles")
    assert third.summary["cv_charge_time_s"].isna().all()
    assert "names no file of this cell" in third.rejected[0].reason


def test_parts_and_store(folder: Path) -> None:
    assert source(folder).parts() == {"train": ["b2c1"], "test": ["b1c0"], "secondary": ["b3c2"]}
    store = open_store(source(folder, percycle_folder=None), progress=False)
    assert "delta_q_kurtosis" in store.summary("b2c1")
    assert "cc_charge_time_s" not in store.summary("b2c1")
    bare = next(source(folder, percycle_folder=None, qdlin_folder=None).cells())
    assert not set(FEATURES) & set(bare.summary.columns)


def test_bad_input(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.reference_cycle=1"):
        source(folder, reference_cycle=1)
    for key in ("qdlin_folder", "percycle_folder"):
        with pytest.raises(DataError, match=rf"data.{key}: .*nowhere.*data.{key}=null"):
            source(folder, **{key: str(folder / "nowhere")}).files()
    (folder.parent / "charge/2017-06-30/b1.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"b1.csv.gz: not a table of charge features.*percycle_folder=null"):
        list(source(folder).cells())
    (folder.parent / "charge/2017-06-30/b1.csv.gz").unlink()
    with pytest.raises(DataError, match=r"1 of 2 .*b1.csv.gz.*data.percycle_folder=null"):
        source(folder).files()
    table = folder.parent / "severson_crosswalk_DERIVED.csv"
    pd.read_csv(table).drop(columns="percycle_file").to_csv(table, index=False)
    with pytest.raises(DataError, match=r"no column percycle_file.*percycle_folder=null"):
        source(folder).files()
    bare = source(folder, percycle_folder=None, qdlin_folder=None)
    three = [np.arange(1, n + 1) for n in (120, 110, 105)]
    lost = [c / 1000 for c in three]
    save(folder, three[::-1], lost[::-1])
    with pytest.raises(DataError, match=r"cell 1 ends at cycle 105, row 1 of the crosswalk says a life of 120"):
        list(bare.cells())
    save(folder, three[:2], lost[:2])
    with pytest.raises(DataError, match=r"2 cells, the crosswalk has 3"):
        list(bare.cells())
    save(folder, three, lost, PCL_Flt=np.zeros((7, 1)))
    with pytest.raises(DataError, match=r"PCL_Flt has 7 values where Num_Cycles_Flt counts 335"):
        list(bare.cells())
    save(folder, three, lost, test_ind=np.array([[2]]))
    with pytest.raises(DataError, match=r"names a cell twice"):
        bare.parts()
    scipy.io.savemat(folder / "SeversonBattery.mat", {"PCL_Flt": np.zeros(3)})
    with pytest.raises(DataError, match=r"no array Num_Cycles_Flt"):
        list(bare.cells())
    (folder / "SeversonBattery.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"not a readable .mat"):
        list(bare.cells())
    (folder / "SeversonBattery.mat").unlink()
    with pytest.raises(DataError, match=r"SeversonBattery.mat are missing"):
        bare.files()


def test_real_cells(data_dir: Path) -> None:
    whole = MitSummary()
    assert len(whole.files()) == 2 + 124 + 115
    cells = {c.info.cell_id: check_cell(c) for c in whole.cells()}
    assert sum(len(c.summary) for c in cells.values()) == 99281
    rows = read_crosswalk(data_dir / "severson_crosswalk_DERIVED.csv").assign(cell_id=lambda f: crosswalk_ids(f))
    lives = dict(zip(rows["cell_id"], rows["cycle_life"], strict=True))
    differ = {k: c.info.eol_cycle - lives[k] for k, c in cells.items() if c.info.eol_cycle != lives[k]}
    assert differ == {"b2c36": -1, "b2c45": -1}
    parts = whole.parts()
    assert {part: len(ids) for part, ids in parts.items()} == {"train": 41, "test": 43, "secondary": 40}
    for part, split in (("train", "train"), ("test", "test1"), ("secondary", "test2")):
        assert set(parts[part]) == set(rows["cell_id"][rows["split"] == split])

    # the loss is of the nominal 1.1 Ah: a few mAh above Qd(V) at 2.0 V in every cell, whose grid begins at 3.5 V
    for cell in MitQdlin().cells():
        both = cell.summary.merge(cells[cell.info.cell_id].summary, on="cycle", suffixes=("_qdv", ""))
        above = (both["discharge_capacity_Ah"] - both["discharge_capacity_Ah_qdv"]).median()
        assert 0.014 < above < 0.025

    placed = Counter({k: int(c.summary["cc_charge_time_s"].notna().sum()) for k, c in cells.items()})
    assert sum(placed.values()) == 74844
    assert sorted(k for k, n in placed.items() if n == 0) == sorted(rows["cell_id"][rows["percycle_file"].isna()])
    # where the current of the last charge step is 1C, time and charge say the same thing: 3600 Ah / s = 1.1 A
    for name in ("b1c0", "b2c0", "b3c0"):
        table = cells[name].summary
        amperes = (table["cc_charge_capacity_Ah"] / table["cc_charge_time_s"] * 3600).median()
        assert amperes == pytest.approx(1.1, abs=0.01)

    # Severson et al. report -0.93 between log10 life and log10 var of Q_100 - Q_10
    at_100 = [float(c.summary.set_index("cycle")["delta_q_log10_var"][100]) for c in cells.values()]
    assert np.corrcoef(at_100, np.log10([lives[k] for k in cells]))[0, 1] == pytest.approx(-0.93, abs=0.01)
