"""Profiles on made records with known answers: resampling, scaling and back, conditions, references."""

import json

import numpy as np
import pytest

from batgen.data.profile_set import measured, times
from batgen.errors import ConfigError
from batgen.preprocessing.conditions import Conditions
from tests.preprocessing.profile_store import NOMINAL_AH, MadeCell, MadeStore, make

ALL = ["temperature_degC", "voltage_V", "soc", "discharge_capacity_Ah"]


def two_cells() -> MadeStore:
    return MadeStore(MadeCell("a"), MadeCell("b", current_A=4.0, ambient_degC=-20.0, rise_degC=15.0))


def test_records_on_the_span_grid_are_what_was_made() -> None:
    ps, notes = make(signals=ALL).read(two_cells(), None)  # type: ignore[arg-type]
    assert notes == []
    assert ps.curves.shape == (16, 4, 13)
    assert ps.curves.dtype == np.float32
    u = np.linspace(0, 1, 13)  # every tenth of 121 samples: nothing is interpolated
    np.testing.assert_allclose(ps.curves[1, 0], 24.2 + 10 * u**2, rtol=1e-6)
    np.testing.assert_allclose(ps.curves[8, 0], -19.9 + 15 * u**2, rtol=1e-5)
    np.testing.assert_allclose(ps.duration_s[[0, 8]], 3600 * np.array([0.99, 0.495]), rtol=1e-6)
    np.testing.assert_allclose(ps.time_s[0], 3564 * u, rtol=1e-6)
    assert ps.mask.all()
    # Coulomb counting of a constant current over the whole of the cycle's capacity: 1 to 0, a straight line
    np.testing.assert_allclose(ps.curves[:, 2], np.broadcast_to(1 - u, (16, 13)), atol=1e-5)
    row = ps.table.iloc[9]
    assert (row.cell_id, row.ecl, row.soc, row.chemistry, row.ambient_degC) == ("b", 2, 1.0, "LFP", -20.0)
    assert row.soh == pytest.approx(0.98)
    assert row.start_temperature_degC == pytest.approx(-19.8, abs=1e-5)
    assert (row.c_rate, row.c_rate_rms) == (pytest.approx(2.0), pytest.approx(2.0))
    assert not ps.table["given"].any()
    assert set(ps.table["protocol"]) == {"24 degC, 1.0 C", "-20 degC, 2.0 C"}


def test_mean_and_rms_of_a_pulsed_current_differ_and_name_the_protocol() -> None:
    n = 4001
    pulsed = np.where(np.arange(n) % 20 < 10, -4.0, 0.0)
    time = np.linspace(0, 4000, n)
    cell = MadeCell("a", cycles=1, n=n, changes=[(1, "current_A", pulsed), (1, "time_s", time)])
    ps, _ = make().read(MadeStore(cell), None)  # type: ignore[arg-type]
    row = ps.table.iloc[0]
    assert row.c_rate == pytest.approx(1.0, abs=0.002)
    assert row.c_rate_rms == pytest.approx(np.sqrt(2), abs=0.03)  # a little less: the ramps between samples
    assert row.protocol == "24 degC, 1.0 C (rms 1.4 C)"


def test_transform_inverts_and_keeps_the_waveform() -> None:
    prep = make(signals=ALL)
    ps, _ = prep.read(two_cells(), None)  # type: ignore[arg-type]
    prep.fit(ps)
    x = prep.transform(ps)
    assert x.shape == (16, *prep.x_shape) == (16, 5, 13)
    assert prep.slices == (*ALL, "log_duration")
    drawn = prep.inverse(x, ps.base, ps.base_duration_s)
    np.testing.assert_allclose(drawn.curves, ps.curves, atol=2e-6)
    np.testing.assert_allclose(drawn.duration_s, ps.duration_s, rtol=1e-6)
    assert (np.ptp(x[:, 4], axis=1) == 0).all()
    # one centre and one scale a signal: what is scaled is the same curve, which a scale per time step would flatten
    for k in range(4):
        residual = (ps.curves - ps.base)[3, k].astype(float)
        assert np.corrcoef(x[3, k], residual)[0, 1] > 1 - 1e-9
        ratio = np.ptp(x[:, k], axis=1) / np.ptp((ps.curves - ps.base)[:, k], axis=1)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert x[:, :4].std(axis=(0, 2)) == pytest.approx(np.ones(4), rel=1e-4)
    # draws of several members at once
    many = prep.inverse(np.stack([x, x + 1]), ps.base, ps.base_duration_s)
    assert many.curves.shape == (2, 16, 4, 13)
    np.testing.assert_allclose(many.duration_s[1] / many.duration_s[0], np.exp(prep.scale[4]), rtol=1e-5)


def test_start_is_subtracted_unless_told_not_to() -> None:
    for relative, first in (("start", np.zeros(16)), ("none", None)):
        prep = make(relative=relative)
        ps, _ = prep.read(two_cells(), None)  # type: ignore[arg-type]
        left = (ps.curves - ps.base)[:, 0, 0]
        np.testing.assert_allclose(left, ps.curves[:, 0, 0] if first is None else first, atol=1e-6)
        assert (ps.base_duration_s == 1).all()


def test_fixed_steps_mask_short_records_and_cut_long_ones() -> None:
    prep = make(grid="time", step_s=300.0, points=10)  # 2700 s: cell a lasts 3564 s and less, cell b 1782 s and less
    ps, notes = prep.read(two_cells(), None)  # type: ignore[arg-type]
    assert notes == ["8 of 16 records are longer than 10 points of 300 s and are cut there"]
    assert (ps.duration_s[:8] == 2700).all()
    assert ps.duration_s[8] == pytest.approx(1782)
    assert ps.mask[:8].all()
    assert ps.mask[8].tolist() == [True] * 7 + [False] * 3  # 1800 s is within half a step of 1782 s
    assert (ps.curves[8, 0, 6:] == ps.curves[8, 0, 6]).all(), "the last value is held"
    np.testing.assert_allclose(ps.curves[0, 0, 3], 24.1 + 10 * (900 / 3564) ** 2, atol=2e-3)
    prep.fit(ps)
    inside = (ps.curves - ps.base)[:, 0][ps.mask]
    assert prep.centre[0] == pytest.approx(inside.mean(), rel=1e-5), "held values take no part in the scale"
    drawn = prep.inverse(prep.transform(ps) + 5, ps.base, ps.base_duration_s)
    assert (drawn.duration_s <= 2700).all()
    assert prep.axis() == ("time_s", pytest.approx(300.0 * np.arange(10)))
    assert times(np.array([5.0]), 3, 2.0).tolist() == [[0, 2, 4]]
    assert measured(np.array([2.9, 3.0]), 3, 2.0).tolist() == [[True, True, False], [True, True, True]]


def test_windows_start_anywhere_and_carry_their_own_conditions() -> None:
    keys = {"start": "random", "window_s": 600.0, "windows": 3, "signals": ["temperature_degC", "soc"], "points": 11}
    store = two_cells()
    ps, notes = make(**keys).read(store, None)  # type: ignore[arg-type]
    assert notes == ["windows start anywhere, but soc is no condition: add it to preprocessing.conditions"]
    assert make(**keys, conditions=["soc"]).read(store, None)[1] == []  # type: ignore[arg-type]
    assert len(ps) == 48
    assert ps.step_s == pytest.approx(60)
    assert ps.mask.all()
    assert (ps.duration_s == 600).all()
    full = np.repeat(make().read(store, None)[0].duration_s, 3)  # type: ignore[arg-type]
    start = ps.table["start_s"].to_numpy()
    assert (start >= 0).all()
    assert (start + 600 <= full + 1e-6).all()
    assert np.ptp(start[:24]) > 1000
    assert (np.diff(start.reshape(-1, 3), axis=1) >= 0).all()
    np.testing.assert_allclose(ps.table["soc"], 1 - start / full, atol=1e-4)
    np.testing.assert_allclose(ps.curves[:, 1, -1], 1 - (start + 600) / full, atol=1e-4)
    np.testing.assert_allclose(ps.table["start_temperature_degC"], ps.curves[:, 0, 0], atol=1e-5)
    assert set(ps.table["protocol"]) == {"24 degC, 1.0 C", "-20 degC, 2.0 C"}
    # the same windows for a cell alone, others for another seed
    alone, _ = make(**keys).read(MadeStore(store.cells["b"]), None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(alone.table["start_s"], start[24:])
    other, _ = make(**keys, window_seed=1).read(store, None)  # type: ignore[arg-type]
    assert (other.table["start_s"].to_numpy() != start).all()


def test_windows_of_a_changing_current_have_the_rate_of_the_window() -> None:
    n = 3601
    steps = np.where(np.arange(n) < 1800, -1.0, -3.0)
    cell = MadeCell("a", 1, n, changes=[(1, "current_A", steps), (1, "time_s", np.arange(n, dtype=float))])
    prep = make(start="random", window_s=300.0, windows=40, points=4)
    ps, _ = prep.read(MadeStore(cell), None)  # type: ignore[arg-type]
    start = ps.table["start_s"].to_numpy()
    high = np.clip(start + 300 - 1799.5, 0, 300) / 300
    np.testing.assert_allclose(ps.table["c_rate"], (1 + 2 * high) / NOMINAL_AH, atol=2e-3)
    np.testing.assert_allclose(ps.table["c_rate_rms"], np.sqrt(1 + 8 * high) / NOMINAL_AH, atol=4e-3)


def test_reference_mode_gives_the_first_records_of_each_cell() -> None:
    conditions = ["ecl", "soh_change", "start_temperature_change_degC"]
    store = MadeStore(MadeCell("a"), MadeCell("b", rise_degC=15.0), MadeCell("short", cycles=2))
    keys = {"relative": "reference", "reference_records": 3, "conditions": conditions}
    prep = make(**keys, start_decay_s=None)
    ps, notes = prep.read(store, None)  # type: ignore[arg-type]
    assert notes == ["1 of 3 cells have fewer than 3 records, too few for a reference, and are left out (short)"]
    assert ps.table["given"].tolist() == [True] * 3 + [False] * 5 + [True] * 3 + [False] * 5
    u = np.linspace(0, 1, 13)
    np.testing.assert_allclose(ps.base[9, 0], 24.2 + 15 * u**2, atol=1e-4)
    geometric = 3600 * (0.99 * 0.98 * 0.97) ** (1 / 3)
    np.testing.assert_allclose(ps.base_duration_s, geometric, rtol=1e-6)
    np.testing.assert_allclose(ps.table["soh_change"][:8], 0.02 - 0.01 * np.arange(1, 9), atol=1e-6)
    np.testing.assert_allclose(ps.table["start_temperature_change_degC"][8:], 0.1 * (np.arange(1, 9) - 2), atol=1e-4)
    # nothing is left to learn here
    np.testing.assert_allclose(ps.curves, ps.base, atol=1e-4)
    # cycle 8 starts 0.6 degC warmer than the reference; of that, exp(-t / tau) is left
    decayed, _ = make(**keys, start_decay_s=1000.0).read(store, None)  # type: ignore[arg-type]
    left = 0.6 * np.exp(-u * geometric / 1000)
    np.testing.assert_allclose(decayed.base[7, 0], 24.2 + left + 10 * u**2, atol=1e-4)
    assert decayed.base[7, 0, 0] == pytest.approx(ps.base[7, 0, 0], abs=1e-5)


def test_generation_starts_from_conditions_and_the_state_survives_json() -> None:
    prep = make()
    ps, _ = prep.read(two_cells(), None)  # type: ignore[arg-type]
    prep.fit(ps)
    made, duration = prep.base_for(ps.table[["ambient_degC"]].head(1))
    assert prep.start_offset_degC == pytest.approx(0.45, abs=1e-5)  # the median of 0.1 to 0.8
    np.testing.assert_allclose(made[0, 0], 24.45, atol=1e-4)
    assert duration.tolist() == [1.0]
    again = make()
    again.load(json.loads(json.dumps(prep.state())))
    np.testing.assert_array_equal(again.transform(ps), prep.transform(ps))
    assert again.scales() == prep.scales()
    assert again.scales()["nominal_capacity_Ah"] == NOMINAL_AH
    np.testing.assert_array_equal(
        again.base_for(ps.table[["ambient_degC"]])[0], prep.base_for(ps.table[["ambient_degC"]])[0]
    )
    with pytest.raises(ConfigError, match="start_temperature_degC is not given"):
        make().base_for(ps.table[["ecl"]])


def test_a_reference_is_found_by_cell_after_loading() -> None:
    prep = make(relative="reference", reference_records=2)
    ps, _ = prep.read(MadeStore(MadeCell("a", drift=0.01), MadeCell("b", drift=0.02)), None)  # type: ignore[arg-type]
    prep.fit(ps)
    again = make(relative="reference", reference_records=2)
    again.load(json.loads(json.dumps(prep.state())))
    base, duration = again.base_for(ps.table)
    np.testing.assert_allclose(base, ps.base, atol=1e-6)
    np.testing.assert_allclose(duration, ps.base_duration_s)
    # an ambient that is 10 degC warmer is followed, from where the record starts; an unknown one is that of the reference
    warm, _ = again.base_for(ps.table.assign(ambient_degC=34.0))
    left = np.exp(-np.linspace(0, duration[0], 13) / 1600)
    np.testing.assert_allclose((warm - base)[0, 0], 10 * (1 - left), atol=1e-4)
    np.testing.assert_allclose(again.base_for(ps.table.drop(columns="ambient_degC"))[0], base, atol=1e-5)
    with pytest.raises(ConfigError, match="cell_id=new: there is no reference of this cell; name one of a, b"):
        again.base_for(ps.table.assign(cell_id="new"))


def test_reading_again_reads_the_cache() -> None:
    store, prep = two_cells(), make()
    first, _ = prep.read(store, None)  # type: ignore[arg-type]
    reads = store.reads
    second, _ = make().read(store, None)  # type: ignore[arg-type]
    assert store.reads == reads
    np.testing.assert_array_equal(first.curves, second.curves)
    assert len(prep.read(store, 3)[0]) == 6  # type: ignore[arg-type]


def test_a_category_that_training_never_saw_is_named() -> None:
    store = MadeStore(MadeCell("a"), MadeCell("b", chemistry="NMC"))
    ps, _ = make(conditions=["chemistry", "soc"]).read(store, None)  # type: ignore[arg-type]
    encoder = Conditions(["chemistry", "soc"])
    encoder.fit(ps.table[:8])
    assert encoder.unseen(ps.table[:8]) == []
    (note,) = encoder.unseen(ps.table)
    assert note.startswith("chemistry=NMC (8 rows) is not among the training data, which have LFP")
    encoder.check({"soc": 0.0})
    with pytest.raises(ConfigError, match=r"soc=-0.1: must not be negative"):
        encoder.check({"soc": -0.1})
