import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from batgen.build import signature
from batgen.data.cell import Cell
from batgen.data.sources.mit_summary import MitSummary
from batgen.data.store import Store, open_store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.cycle_sequences import CycleSequences
from batgen.preprocessing.sequence_series import masked_summary
from tests.data.fake_source import Fake, make_cell

Q, R = "discharge_capacity_Ah", "internal_resistance_Ohm"
OUTLIERS = {"window": 10, "limit": 6.0, "floor": 0.03, "patience": 3}
AFTER = {"weight": 1.0, "depth": 0.1, "tau_cycles": 200.0}


@dataclass(frozen=True)
class Planted(Fake):
    """Cells cell0, cell1 ... of 30 cycles that fade by 1 % each; values (cell, column, cycle, value) are planted."""

    planted: list[tuple[int, str, int, float]] = field(default_factory=list)

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        for k, life in enumerate(self.lives):
            cell = make_cell(f"cell{k}", life, cycles, self.eol_capacity_Ah)
            cell.summary[R] = 0.02 + 0.001 * k + 1e-5 * cell.summary["cycle"]
            cell.summary["spread"] = np.where(cell.summary["cycle"] <= 8, 1.0 + k, np.nan)
            for at, column, cycle, value in self.planted:
                if at == k:
                    cell.summary.loc[cell.summary["cycle"] == cycle, column] = value
            yield cell


def store_of(folder: Path, *planted: tuple[int, str, int, float], lives: tuple[int, ...] = (30, 25, 20)) -> Store:
    folder.mkdir(exist_ok=True)
    (folder / "raw.txt").write_text(str(planted))
    return open_store(Planted(str(folder), planted=list(planted), lives=lives), 1, progress=False)


def made(**options: Any) -> CycleSequences:
    return CycleSequences(**{"outliers": OUTLIERS, "after_eol": AFTER, "max_cycles": None} | options)


def test_the_yaml_names_every_argument() -> None:
    node = OmegaConf.load(Path(__file__).parents[2] / "conf/preprocessing/cycle_sequences.yaml")
    assert set(node) - {"_target_"} == set(signature(node["_target_"]).names)
    del node["max_cycles"]  # follows the protocol
    plain = OmegaConf.to_container(node, resolve=True)
    pre = CycleSequences(**{k: v for k, v in plain.items() if k != "_target_"})
    assert pre.target_names == (Q,)
    assert pre.outliers == OUTLIERS


def test_masked_cycles_are_counted_and_reported(tmp_path: Path) -> None:
    store = store_of(tmp_path, (0, Q, 12, 0.4), (0, Q, 13, 2.0), (1, Q, 7, np.nan), (2, R, 9, 5.0))
    pre = made(inputs=[R])
    series = [pre.series(store, f"cell{k}") for k in range(3)]
    assert [one.masked for one in series] == [{Q: 2}, {Q: 0}, {Q: 0}]
    row = {"cell_id": "cell0", "column": Q, "measured": 30, "masked": 2, "cycles": [12, 13]}
    assert masked_summary(series) == [row]
    assert np.flatnonzero(np.isnan(series[0].columns[Q])).tolist() == [11, 12]
    assert series[0].cycle.tolist() == list(range(1, 31))
    assert made(outliers=None).series(store, "cell0").columns[Q][11] == 0.4


def test_what_lies_behind_the_last_cycle_is_not_read(tmp_path: Path) -> None:
    plain, late = store_of(tmp_path / "a"), store_of(tmp_path / "b", (0, Q, 21, 0.3), (0, Q, 22, np.inf))
    pre = made(statics={"level": ["fade", "first_capacity"]})
    one, other = pre.series(plain, "cell0", 20), pre.series(late, "cell0", 20)
    assert one.last_cycle == 20
    assert not one.ended
    assert pre.series(plain, "cell0").ended
    np.testing.assert_array_equal(one.columns[Q], other.columns[Q])
    assert made(max_cycles=15).series(plain, "cell0", 20).last_cycle == 15
    with pytest.raises(DataError, match=rf"cell cell0: {Q} is infinite at cycle 22"):
        pre.series(late, "cell0")


def test_scales_come_from_change_since_the_cut_and_undo_exactly(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for capacity, unit in (("shape", None), ("nominal", 1.1), ("Ah", 1.0)):
        pre = made(capacity=capacity, inputs=[R], after_eol=None, horizon=4, static_window=1)
        series = [pre.series(store, f"cell{k}") for k in range(2)]
        pre.fit(series, range(10, 16))
        windows = pre.windows(series, [12, 15], 6, training=True)
        # a line of slope s: changes s, 2s, 3s, 4s have the standard deviation s * sqrt(1.25)
        unit = unit or float(np.median(series[0].columns[Q][:10]))
        assert pre.scales["targets"][1, 0] == pytest.approx(0.011 / unit * 1.25**0.5, rel=1e-6)
        for row, (one, cut) in enumerate(zip(series, [12, 15], strict=True)):
            np.testing.assert_allclose(
                pre.inverse(windows["target"][row], one, cut)[:, 0], one.columns[Q][cut : cut + 6]
            )
            assert pre.inverse(windows["last"][row], one, cut) == pytest.approx(one.columns[Q][cut - 1])


def test_arrays_are_what_a_model_of_this_shape_takes(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    statics = {"early": ["spread"], "cell": ["c1", "log_nominal_capacity"], "when": ["log_cut"]}
    pre = made(targets=[Q, R], covariates=["cycle", "log_cycle"], statics=statics, stride=2)
    series = [pre.series(store, f"cell{k}") for k in range(3)]
    with pytest.raises(DataError, match="c1 is not known for any of the 3 training cells"):
        pre.fit(series, range(10, 16))
    pre = made(targets=[Q, R], statics=statics | {"cell": ["log_nominal_capacity"]}, stride=2)
    pre.fit(series, range(10, 16))
    windows = pre.windows(series, [10, 11, 12], 5, training=True)
    shapes = {"past": (3, 6, 6), "statics": (3, 3), "known": (3, 3), "future": (3, 5, 2), "last": (3, 2)}
    shapes |= {"target": (3, 5, 2), "weight": (3, 5, 2), "length": (3,), "cell": (3,)}
    assert {name: array.shape for name, array in windows.items()} == shapes
    for name, array in windows.items():
        assert array.dtype == (np.int64 if name in ("length", "cell") else np.float32)
        assert np.isfinite(array).all()
    assert windows["length"].tolist() == [5, 6, 6]
    assert not windows["past"][0, 5:].any()
    assert (windows["past"][0, :5, 2:4] == 1).all(), "flags follow the targets"
    shape = {"targets": (Q, R), "inputs": (), "covariates": ("cycle", "log_cycle"), "stride": 2}
    groups = (("early", ("spread",)), ("cell", ("log_nominal_capacity",)), ("when", ("log_cut",)))
    assert pre.shape() == shape | {"groups": groups, "gains": ()}
    assert pre.horizon_cycles == 20
    assert pre.training_steps == 10


def test_a_group_is_unknown_where_one_of_its_statics_is(tmp_path: Path) -> None:
    store = store_of(tmp_path, *((1, "spread", cycle, np.nan) for cycle in range(1, 9)))
    pre = made(statics={"early": ["spread", "first_capacity"], "when": ["log_cut"]})
    series = [pre.series(store, f"cell{k}") for k in range(3)]
    pre.fit(series, [10, 12])
    windows = pre.windows(series, [12, 12, 12], 3, training=False)
    assert windows["known"].tolist() == [[1, 1], [0, 1], [1, 1]]
    assert windows["statics"][1, 0] == 0
    assert windows["statics"][[0, 2], 0].tolist() == pytest.approx([-1.0, 1.0])


def test_a_hardly_changing_covariate_is_not_blown_up(tmp_path: Path) -> None:
    rates = [(k, "discharge_c_rate", c, 1.0 + 1e-4 * (c % 3)) for k in range(2) for c in range(1, 31)]
    store = store_of(tmp_path, *rates, *((2, "discharge_c_rate", c, 3.0) for c in range(1, 31)))
    pre = made(covariates=["discharge_c_rate"])
    series = [pre.series(store, f"cell{k}") for k in range(3)]
    pre.fit(series[:2], [10])
    assert abs(pre.windows(series, [10] * 3, 4, training=False)["future"]).max() == pytest.approx(2.0, abs=0.01)


def test_state_is_plain_and_restores_the_same_windows(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    options: dict[str, Any] = {"inputs": [R, "spread"], "statics": {"a": ["fade"]}, "stride": 3}
    pre, again = made(**options), made(**options)
    series = [pre.series(store, f"cell{k}") for k in range(3)]
    pre.fit(series, range(8, 15))
    again.load(json.loads(json.dumps(pre.state())))
    again = pickle.loads(pickle.dumps(again))
    ours, theirs = (p.windows(series, [9, 10, 14], 4, training=True) for p in (pre, again))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert again.training_steps == pre.training_steps


def test_a_fitted_preprocessing_reads_cells_with_fewer_columns(tmp_path: Path) -> None:
    pre = made(inputs=["spread"], statics={"early": ["spread"]})
    pre.fit([pre.series(store_of(tmp_path / "a"), "cell0")], [10])
    bare = open_store(Fake(str(tmp_path / "a"), name="bare"), 1, progress=False)
    windows = pre.windows([pre.series(bare, "cell0")], [10], 3, training=False)
    assert windows["known"].tolist() == [[0.0]]
    assert not windows["past"][0, :, 1].any()


def test_names_that_do_not_exist_are_refused_with_a_suggestion(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for options, message in (
        ({"targets": ["discharge_capacity"]}, f"no column discharge_capacity; did you mean {Q}"),
        ({"inputs": ["internal_resistance"]}, f"no column internal_resistance; did you mean {R}"),
        ({"statics": {"a": ["spreed"]}}, "no column spreed; did you mean spread.*log_cut"),
        ({"statics": {"life": ["eol_cycle"]}}, "no column eol_cycle"),
        ({"targets": ["coulombic_efficiency"]}, f"cell cell0: coulombic_efficiency is not known at any .*{Q}"),
    ):
        with pytest.raises(DataError, match=message):
            made(**options).series(store, "cell0")
    with pytest.raises(DataError, match=r"no cycle up to 0"):
        made().series(store, "cell0", 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": ["cycles"]}, "cycles is not known ahead; did you mean cycle"),
        ({"capacity": "soh"}, "capacity=soh"),
        ({"stride": 0}, "stride=0"),
        ({"targets": []}, "at least one target"),
        ({"targets": [Q], "inputs": [Q]}, "twice"),
        ({"outliers": {"window": 10, "limits": 6.0, "floor": 0.01, "patience": 3}}, r"outliers needs window .*, limit"),
        ({"outliers": OUTLIERS | {"window": 2}}, r"window \(at least 3\)"),
        ({"after_eol": {"weight": -1.0, "depth": 0.1, "tau_cycles": 200}}, "after_eol needs"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**options)


def test_training_cells_must_go_on_after_the_first_cut(tmp_path: Path) -> None:
    store, pre = store_of(tmp_path), made()
    with pytest.raises(
        DataError, match=r"none of the 1 training cells goes on after cycle 30: the longest has 30.*cycles="
    ):
        pre.fit([pre.series(store, "cell0")], range(30, 40))


@pytest.mark.slow
def test_measured_mit_training_windows_are_made_in_no_time(data_dir: Path) -> None:
    source = MitSummary(folder="severson_soh_trajectories")
    store = open_store(source, 1, progress=False)
    pre = made(statics={"delta_q": ["delta_q_log10_var"], "policy": ["c1", "q1", "c2"]}, stride=5)
    series = [pre.series(store, cell) for cell in source.parts()["train"]]
    pre.fit(series, range(20, 101))
    cuts = np.random.default_rng(0).integers(20, 101, 16 * len(series)).tolist()
    pre.windows(series * 16, cuts, 220, training=True)
    begin = time.perf_counter()
    windows = pre.windows(series * 16, cuts, 220, training=True)
    assert time.perf_counter() - begin < 1.0  # 0.04 s when it was written
    assert windows["target"].shape == (656, 220, 1)
    assert (windows["known"] == 1).all()
    assert 0.04 < pre.scales["targets"][1, 0] < 0.055  # the fade to 80 % of shape


def test_a_group_of_statics_that_is_null_is_left_out() -> None:
    pre = made(statics={"early": ["first_capacity"], "policy": None})
    assert pre.shape()["groups"] == (("early", ("first_capacity",)),)
