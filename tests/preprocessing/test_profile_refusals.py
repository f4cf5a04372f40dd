"""What profiles cannot be made of: one sentence each, with the key and the remedy; and records that are left out."""

from typing import Any

import numpy as np
import pytest

from batgen.errors import ConfigError, DataError
from tests.preprocessing.profile_store import CONDITIONS, MadeCell, MadeStore, make


def read(store: MadeStore, **keys: Any):
    return make(**keys).read(store, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"part": "rest"}, "preprocessing.part=rest: choose one of discharge, charge"),
        ({"grid": "charge"}, "preprocessing.grid=charge: choose one of span, time"),
        ({"start": "anywhere"}, "preprocessing.start=anywhere: choose one of full, random"),
        ({"relative": "mean"}, "preprocessing.relative=mean: choose one of none, start, reference"),
        ({"signals": ["temperature"]}, "preprocessing.signals: 'temperature' is none of temperature_degC"),
        ({"signals": []}, r"preprocessing.signals=\[\]: name at least one"),
        ({"signals": ["soc", "soc"]}, "names one twice"),
        ({"conditions": ["ambient"]}, "preprocessing.conditions: 'ambient' is none of .*ambient_degC"),
        ({"conditions": ["soh_change"]}, "soh_change needs preprocessing.relative=reference"),
        ({"points": 1}, "preprocessing.points=1: give 2 or more"),
        ({"grid": "time"}, "preprocessing.grid=time needs preprocessing.step_s"),
        ({"step_s": 10.0}, "preprocessing.step_s needs preprocessing.grid=time"),
        ({"grid": "time", "step_s": -1.0}, "preprocessing.step_s=-1.0: give a positive number"),
        ({"start": "random"}, "preprocessing.start=random needs preprocessing.window_s"),
        ({"start": "random", "window_s": 60.0, "step_s": 5.0, "grid": "time"}, "leave step_s null"),
        ({"start_decay_s": 0.0}, "preprocessing.start_decay_s=0.0: give a positive number"),
        ({"window_s": 60.0}, "need preprocessing.start=random"),
        ({"relative": "reference", "grid": "time", "step_s": 9.0}, "needs preprocessing.grid=span"),
        ({"relative": "reference", "start": "random", "window_s": 60.0}, "needs preprocessing.grid=span"),
        ({"where": {"ambient": [0, 1]}}, "preprocessing.where.ambient: 'ambient' is none of"),
        ({"where": {"soh_change": [0, 1]}}, "preprocessing.where.soh_change"),
        ({"where": {"soh": [1, 0]}}, r"preprocessing.where.soh=\[1, 0\]: give \[low, high\]"),
        ({"where": {"soh": 1}}, r"preprocessing.where.soh=1: give \[low, high\]"),
    ],
)
def test_options_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keys)


def test_signals_that_were_not_measured() -> None:
    store = MadeStore(MadeCell(), leave_out=["temperature_degC"], name="cold")
    with pytest.raises(
        DataError, match=r"cold has not measured temperature_degC \(it has voltage_V.*preprocessing.signals"
    ):
        read(store)
    with pytest.raises(
        DataError, match="start_temperature_degC is not known. Leave it out of preprocessing.conditions"
    ):
        read(store, signals=["voltage_V"])
    ps, _ = read(store, signals=["voltage_V"], conditions=["ecl", "soh"])
    assert ps.curves.shape == (8, 1, 13)
    assert (ps.base == 0).all()
    with pytest.raises(DataError, match="has no current_A, which profiles need"):
        read(MadeStore(MadeCell(), leave_out=["current_A"]))


def test_a_store_without_curves_says_so() -> None:
    store = MadeStore(MadeCell(), name="summary")
    store.signals = ()
    with pytest.raises(DataError, match="summary has not measured temperature_degC: it holds no curves"):
        read(store)


def test_missing_ambient_and_absent_conditions() -> None:
    store = MadeStore(MadeCell("a"), MadeCell("b", ambient_degC=float("nan")))
    store.cells["b"].changes = [(k, "temperature_degC", np.linspace(20, 30, 121)) for k in range(1, 9)]
    with pytest.raises(
        DataError, match=r"'ambient_degC' is missing for 8 of 16 profiles \(the first is cell b, cycle 1\)"
    ):
        read(store)
    ps, _ = read(store, where={"ambient_degC": [0, 30]})
    assert set(ps.table["cell_id"]) == {"a"}
    unknown, _ = read(store, conditions=["soh"])
    assert "unknown ambient, 1.0 C" in set(unknown.table["protocol"])
    with pytest.raises(DataError, match=r"'c1' is missing .*preprocessing.conditions=\[ecl\]"):
        read(store, conditions=["ecl", "c1"])


def test_ranges_keep_rows_and_say_what_there_is() -> None:
    store = MadeStore(MadeCell("a"), MadeCell("b", ambient_degC=43.0))
    ps, notes = read(store, where={"ambient_degC": [40, 50], "ecl": [3, 5]})
    assert ps.table["ecl"].tolist() == [3, 4, 5]
    assert set(ps.table["cell_id"]) == {"b"}
    assert "preprocessing.where keeps 3 of 16 profiles" in notes
    with pytest.raises(ConfigError, match=r"where.ambient_degC=\[0, 10\] leaves no record: .* is 24 to 43. Widen it"):
        read(store, where={"ambient_degC": [0, 10]})


def test_windows_longer_than_records() -> None:
    store = MadeStore(MadeCell("a", cycles=2), MadeCell("b", current_A=4.0, cycles=2))
    keys = {"start": "random", "windows": 2}
    ps, notes = read(store, **keys, window_s=3000.0)
    assert set(ps.table["cell_id"]) == {"a"}
    assert notes[:1] == [
        "2 of 4 records are shorter than preprocessing.window_s=3000 and are left out (b cycle 1: 1782 s; b cycle 2: 1764 s)"
    ]
    with pytest.raises(
        DataError, match="the longest discharge record has 3564 s, less than preprocessing.window_s=4000"
    ):
        read(store, **keys, window_s=4000.0)


def test_records_that_cannot_be_used_are_left_out_and_named() -> None:
    hole = np.linspace(24, 30, 121)
    hole[7] = np.nan
    back = np.linspace(0, 3000, 121)
    back[60] = 10.0
    still = np.full(121, 5.0)
    store = MadeStore(MadeCell("a", changes=[(2, "temperature_degC", hole), (3, "time_s", back), (4, "time_s", still)]))
    ps, notes = read(store)
    assert ps.table["ecl"].tolist() == [1, 5, 6, 7, 8]
    assert notes == [
        "3 of 8 records cannot be used and are left out (a cycle 2: temperature_degC is NaN at 1 of 121 points; "
        "a cycle 3: its clock falls back 1 times; a cycle 4: its clock stands still)"
    ]
    # what nobody asks for may be missing
    ps, _ = read(store, signals=["voltage_V"], conditions=["ecl"])
    assert 2 in set(ps.table["ecl"])
    with pytest.raises(DataError, match=r"no discharge record can be used \(8 of 8 .*only 121 points \(needs 200\)"):
        read(store, min_points=200)


def test_reference_of_more_records_than_any_cell_has() -> None:
    with pytest.raises(ConfigError, match="preprocessing.reference_records=9: no cell has so many records"):
        read(MadeStore(MadeCell()), relative="reference", reference_records=9)


def test_constant_conditions_are_noted_and_constant_signals_refused() -> None:
    prep = make(conditions=[*CONDITIONS, "chemistry", "soc"])
    ps, _ = prep.read(MadeStore(MadeCell("a"), MadeCell("b", ambient_degC=24.2)), None)  # type: ignore[arg-type]
    notes = prep.fit(ps)
    assert prep.constant == ["ambient_degC", "c_rate", "c_rate_rms", "chemistry", "soc"]
    assert notes[0] == "ambient_degC is the same in all training profiles: its effect cannot be learnt"
    prep = make(signals=["temperature_degC", "current_A", "charge_capacity_Ah"])
    ps, _ = prep.read(MadeStore(MadeCell()), None)  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match=r"current_A is constant \(-2\) .*signals=\[temperature_degC,charge_capacity_Ah\]"
    ):
        prep.fit(ps)


def test_durations_that_do_not_vary_are_not_blown_up() -> None:
    prep = make()
    ps, _ = prep.read(MadeStore(MadeCell("a", soh=0.9)), None)  # type: ignore[arg-type]
    prep.fit(ps)
    assert prep.scale[-1] == 1.0
    assert np.abs(prep.transform(ps)[:, -1]).max() < 1e-5
