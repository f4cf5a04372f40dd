"""The reader of the raw MIT batches, on files that the test writes in their structure."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from batgen.data.cell import SUMMARY, Cell
from batgen.data.sources.mit import CLEANING, Mit, end_of_life, read_cleaning
from batgen.data.sources.mit_signals import split_cycle
from batgen.data.store import open_store
from batgen.errors import DataError
from tests.data.mit_fixture import FILES, NOMINAL_AH, RawCell, make_cell, write_batch, write_dataset

HEADER = "batch,index,action,target,cycle_life_added,reason\n"


def write(folder: Path, *batches: list[RawCell], cleaning: str = "") -> Mit:
    """The three files with these cells (one plain cell where a batch is not given) and a source that reads them."""
    folder.mkdir(exist_ok=True)
    for b, name in enumerate(FILES):
        write_batch(folder / name, batches[b] if b < len(batches) else [make_cell(cycles=8, seed=90 + b)])
    table = folder / "cleaning.csv"
    table.write_text(HEADER + cleaning)
    return Mit(folder=str(folder), cleaning=str(table), download=False)


def read(source: Mit, cycles: int | None = None) -> dict[str, Cell]:
    return {cell.info.cell_id: cell for cell in source.cells(cycles)}


def reasons(cell: Cell) -> dict[str, str]:
    return {r.record: r.reason for r in cell.rejected}


def test_units_numbers_and_parts(tmp_path: Path) -> None:
    raw = make_cell("5.4C(60%)-3.6C", cycles=12, points=400)
    cell = read(write(tmp_path, [raw]))["b1c0"]
    assert (cell.info.c1, cell.info.q1, cell.info.c2) == (5.4, 0.6, 3.6)
    assert [c.cycle for c in cell.cycles] == list(range(1, 13))
    assert "C-rate -> A" in cell.units
    assert "min -> s" in cell.units
    first, source = cell.cycles[0], raw.cycles[0]
    assert source is not None
    np.testing.assert_allclose(first.signals["current_A"], source["I"] * NOMINAL_AH, rtol=1e-6)
    np.testing.assert_allclose(first.signals["time_s"], (source["t"] - source["t"][0]) * 60, rtol=1e-5, atol=1e-3)
    assert all(v.dtype == np.float32 for v in first.signals.values())
    charge, discharge = slice(*first.charge), slice(*first.discharge)
    assert (first.signals["current_A"][charge] > 0).all()
    assert (first.signals["current_A"][discharge] < 0).all()
    # Coulomb counting, with the trapezium rule over a few hundred points
    for part, name, sign in ((charge, "charge_capacity_Ah", 1), (discharge, "discharge_capacity_Ah", -1)):
        t, i, q = (first.signals[n][part].astype(float) for n in ("time_s", "current_A", name))
        assert q[0] == pytest.approx(0, abs=1e-4)
        assert sign * np.trapezoid(i, t) / 3600 == pytest.approx(q[-1], rel=0.01)
    assert list(cell.summary.columns) == list(SUMMARY)
    np.testing.assert_allclose(cell.summary["discharge_capacity_Ah"], raw.summary["QDischarge"])
    np.testing.assert_allclose(cell.summary["charge_time_s"], raw.summary["chargetime"] * 60)


def test_split_ignores_rests_and_resistance_pulses() -> None:
    current = np.array([0, 2, 2, 0, -1, 2, 2, 0, 0, -4, -4, -4, 0.0])
    charge = np.cumsum(np.clip(current, 0, None))
    discharge = np.cumsum(np.clip(-current, 0, None))
    assert split_cycle(current, charge, discharge) == ((1, 7), (9, 12))
    assert split_cycle(-np.abs(current), 0 * charge, discharge) == ((0, 0), (1, 12))
    assert split_cycle(0 * current, 0 * charge, 0 * charge) == ((0, 0), (0, 0))


def test_first_batch_starts_at_cycle_two(tmp_path: Path) -> None:
    cell = read(write(tmp_path, [make_cell(cycles=10, placeholder=True)]))["b1c0"]
    assert [c.cycle for c in cell.cycles] == list(range(2, 11))
    assert cell.summary["cycle"].tolist() == list(range(2, 11))
    assert reasons(cell)["cycle 1"] == "empty"
    assert "left out" in reasons(cell)["summary of cycle 1"]


def test_life_is_the_crossing_else_the_authors_number(tmp_path: Path) -> None:
    crossing = make_cell(cycles=40, life=31)  # nine more cycles below 0.88 Ah
    crossing.cycle_life = 38.0
    authors = make_cell(cycles=30)  # ends just above, cycle_life is one more
    stopped = make_cell(cycles=30, life=200)
    unknown = make_cell(cycles=30)
    unknown.cycle_life = float("nan")
    cells = read(write(tmp_path, [crossing, authors, stopped, unknown]))
    info = [cells[f"b1c{i}"].info for i in range(4)]
    assert info[0].eol_cycle == 31
    assert "first sustained" in info[0].eol_definition
    assert "says 38" in info[0].eol_definition
    assert info[1].eol_cycle == 31
    assert not info[1].censored
    assert "cycle_life" in info[1].eol_definition
    for i, words in ((2, "says 200"), (3, "not reached")):
        assert np.isnan(info[i].eol_cycle)
        assert info[i].censored
        assert words in info[i].eol_definition


def test_lives_of_all_124_real_trajectories(data_dir: Path) -> None:
    """Every published life is recovered, none is censored, whatever cycle the test stopped at."""
    published = pd.read_csv(data_dir / "severson_crosswalk_DERIVED.csv")["cycle_life"].to_numpy()
    mat = loadmat(data_dir / "severson_soh_trajectories/SeversonBattery.mat")
    ends = np.cumsum(mat["Num_Cycles_Flt"].ravel().astype(int))[:-1]
    cycles = np.split(mat["Cycles_Flt"].ravel().astype(float), ends)
    capacities = np.split((1 - mat["PCL_Flt"].ravel()) * NOMINAL_AH, ends)
    found = []
    for cycle, capacity, life in zip(cycles, capacities, published, strict=True):
        summary = pd.DataFrame({"cycle": cycle, "discharge_capacity_Ah": capacity})
        found.append(end_of_life(summary, 0.88, float(life))[0])
    assert len(found) == 124
    assert np.abs(np.array(found) - published).max() <= 1


def test_another_threshold_is_taken_from_the_record(tmp_path: Path) -> None:
    source = write(tmp_path, [make_cell(cycles=40)])
    cell = read(Mit(folder=source.folder, cleaning=source.cleaning, download=False, eol_capacity_Ah=1.0))["b1c0"]
    below = cell.summary["cycle"][cell.summary["discharge_capacity_Ah"] < 1.0]
    assert cell.info.eol_cycle == below.iloc[0] < 40


def test_cleaning_excludes_and_continues(tmp_path: Path) -> None:
    one = make_cell(cycles=10, life=31, placeholder=True)
    one.cycle_life = 11.0
    rest = make_cell(cycles=20, first=11, life=31)
    source = write(
        tmp_path,
        [one, make_cell(cycles=8)],
        [make_cell(cycles=8), rest],
        cleaning="1,1,exclude,,,stopped early\n2,1,continues,b1c0,20,went on\n3,5,exclude,,,not in this file\n",
    )
    cells = read(source)
    assert list(cells) == ["b1c0", "b2c0", "b3c0"]
    joined = cells["b1c0"]
    assert [c.cycle for c in joined.cycles] == list(range(2, 31))
    assert joined.summary["cycle"].tolist() == list(range(2, 31))
    assert joined.info.last_cycle == 30
    assert joined.info.eol_cycle == 31  # 11 in the first file and 20 more
    # only the first cycles of the second file are read
    assert [c.cycle for c in read(source, 12)["b1c0"].cycles] == list(range(2, 13))
    assert len(read(source, 5)["b1c0"].summary) == 29


def test_missing_continuation_is_reported(tmp_path: Path) -> None:
    source = write(tmp_path, [make_cell(cycles=8)], cleaning="2,7,continues,b1c0,662,went on\n")
    assert "continuation" in reasons(read(source)["b1c0"])["b2c7"]


def test_packaged_cleaning_leaves_124_cells() -> None:
    rules = read_cleaning(CLEANING)
    sizes = {1: 46, 2: 48, 3: 46}
    kept = {b: n - sum(key[0] == b for key in rules) for b, n in sizes.items()}
    assert kept == {1: 41, 2: 43, 3: 40}
    added = {r.target: r.cycle_life_added for r in rules.values() if r.action == "continues"}
    assert added == {"b1c0": 662, "b1c1": 981, "b1c2": 1060, "b1c3": 208, "b1c4": 482}
    assert all(rule.reason for rule in rules.values())


def test_faulty_cycles_are_rejected_one_by_one(tmp_path: Path) -> None:
    raw = make_cell(cycles=12)
    cycles = [dict(c) for c in raw.cycles if c is not None]
    cycles[1]["V"] = np.where(np.arange(300) == 7, np.nan, cycles[1]["V"])
    cycles[2]["T"] = None
    cycles[4]["V"] = np.full(300, 3.3)
    cycles[5]["Qc"] = cycles[5]["Qc"][:200]
    cycles[6]["Qd"] = cycles[6]["Qd"] * 40
    cycles[7]["t"] = np.r_[cycles[7]["t"][:150], cycles[7]["t"][:150]]
    raw.cycles = [*cycles[:3], None, *cycles[4:]]
    raw.summary["QDischarge"][9] = 48.8
    raw.summary["IR"][3] = 0
    cell = read(write(tmp_path, [raw]))["b1c0"]
    assert [c.cycle for c in cell.cycles] == [1, 9, 10, 11, 12]
    found = reasons(cell)
    assert found["cycle 2"] == "NaN in V"
    assert found["cycle 3"] == found["cycle 4"] == "empty"
    assert found["cycle 5"] == "constant V"
    assert "different lengths (200 to 300 points)" in found["cycle 6"]
    assert "capacity of" in found["cycle 7"]
    assert "backwards" in found["cycle 8"]
    assert "48.8 Ah" in found["summary of cycle 10"]
    assert np.isnan(cell.summary["discharge_capacity_Ah"][9])
    assert np.isnan(cell.summary["internal_resistance_Ohm"][3])


def test_absent_signal_names_file_cell_and_signal(tmp_path: Path) -> None:
    raw = make_cell(cycles=8)
    raw.absent = ("T",)
    with pytest.raises(DataError, match=r"2017-05-12.*b1c0.*'T'"):
        read(write(tmp_path, [raw]))


def test_a_third_unit_is_refused(tmp_path: Path) -> None:
    raw = make_cell(cycles=8)
    for cycle in raw.cycles:
        assert cycle is not None
        cycle["I"] = cycle["I"] * 7.3
    with pytest.raises(DataError, match=r"2017-05-12.*b1c0.*no known unit"):
        read(write(tmp_path, [raw]))


def test_ampere_and_seconds_are_recognised(tmp_path: Path) -> None:
    raw = make_cell(cycles=8)
    expected = raw.cycles[0]["t"][-1] * 60  # type: ignore[index]
    seen: set[int] = set()
    for cycle in raw.cycles:
        if cycle is not None and id(cycle) not in seen:
            seen.add(id(cycle))
            cycle["I"], cycle["t"] = cycle["I"] * NOMINAL_AH, cycle["t"] * 60
    cell = read(write(tmp_path, [raw]))["b1c0"]
    assert cell.cycles[0].signals["time_s"][-1] == pytest.approx(expected, rel=1e-4)
    assert cell.cycles[0].signals["current_A"].max() == pytest.approx(5.4 * NOMINAL_AH)


def test_cell_without_any_usable_cycle(tmp_path: Path) -> None:
    raw = make_cell(cycles=8)
    raw.cycles = [None] * 8
    with pytest.raises(DataError, match=r"b1c0 has no usable cycle.*exclude"):
        read(write(tmp_path, [raw]))


def test_empty_summary_and_cycles(tmp_path: Path) -> None:
    for field in ("summary", "cycles"):
        source = write(tmp_path, [make_cell(cycles=8)])
        with h5py.File(tmp_path / FILES[0], "r+") as file:
            empty = file["#refs#"].create_dataset("empty", data=np.array([0, 0], dtype=np.uint64))
            empty.attrs["MATLAB_empty"] = np.uint8(1)
            file["batch"][field][0, 0] = empty.ref
        with pytest.raises(DataError, match=rf"2017-05-12.*b1c0.*{field} are empty.*exclude"):
            read(source)


def test_truncated_foreign_and_missing_files(tmp_path: Path) -> None:
    source = write(tmp_path)
    path = tmp_path / FILES[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"2017-06-30.*truncated.*[Ff]etch"):
        read(source)
    path.write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"2017-06-30.*HDF5"):
        read(source)
    with h5py.File(path, "w") as file:
        file["something"] = 1
    with pytest.raises(DataError, match=r"2017-06-30.*not a raw MIT batch"):
        read(source)
    path.unlink()
    with pytest.raises(DataError, match=r"2017-06-30.*data=sim"):
        source.files()


def test_one_error_names_all_three_files(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        Mit(download=False).files()
    assert all(name in str(error.value) for name in FILES)
    assert "$BATGEN_DATA_DIR/mit" in str(error.value)
    assert "data=sim" in str(error.value)


def test_bad_cleaning_row_is_named(tmp_path: Path) -> None:
    source = write(tmp_path, cleaning="1,0,remove,,,typo\n")
    with pytest.raises(DataError, match=r"cleaning.csv, line 2.*exclude"):
        read(source)


def test_editing_the_cleaning_table_makes_the_store_stale(tmp_path: Path) -> None:
    source = write(tmp_path, [make_cell(cycles=8, seed=s) for s in range(2)])
    assert len(open_store(source, 5, progress=False).infos) == 4
    (tmp_path / "cleaning.csv").write_text(HEADER + "1,1,exclude,,,second thoughts\n")
    assert len(open_store(source, 5, progress=False).infos) == 3


def test_store_holds_the_first_cycles_and_all_of_life(tmp_path: Path) -> None:
    write_dataset(tmp_path, cells=(2, 1, 1), cycles=24, compression=3)
    store = open_store(Mit(folder=str(tmp_path)), cycles=10, progress=False)
    assert [i.cell_id for i in store.infos] == ["b1c0", "b1c1", "b2c0", "b3c0"]
    assert len(store.signals) == 6
    assert all(np.isfinite(i.eol_cycle) for i in store.infos)
    curves = store.curves("b2c0", ("voltage_V", "charge_capacity_Ah"), "charge")
    assert curves.cycle.tolist() == list(range(1, 11))
    assert curves.columns["charge_capacity_Ah"].max() == pytest.approx(1.07, abs=0.02)
    assert store.summary("b1c1")["cycle"].tolist() == list(range(2, 27))


def test_memory_is_that_of_one_cell(tmp_path: Path) -> None:
    def peak(cells: int) -> int:
        write_batch(tmp_path / FILES[0], [make_cell(cycles=20, n_cycles_with_curves=1, points=900)] * cells)
        tracemalloc.start()
        for _ in source.cells():
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    source = write(tmp_path)
    assert peak(8) < 1.3 * peak(2)
