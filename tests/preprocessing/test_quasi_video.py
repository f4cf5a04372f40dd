from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from batgen.data.curves import Curves
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.quasi_video import QuasiVideo

CURVES = {
    "part": "charge",
    "signals": ["voltage_V", "current_A", "temperature_degC"],
    "companion": "charge_capacity_Ah",
    "honest_grid": "charge",
}
SINGLE = {"part": "discharge", "signals": ["discharge_capacity_Ah"], "companion": None, "honest_grid": "record",
          "timed": False, "axis": ["voltage_V", 3.5, 2.0]}  # fmt: skip


def prep(**keys: object) -> QuasiVideo:
    return QuasiVideo(**{"curves": CURVES, "conditions": ["eol", "ecl"], **keys})  # type: ignore[arg-type]


class FakeStore(SimpleNamespace):
    """Two cells of three charges; what QuasiVideo asks of a store and nothing else."""

    def __init__(self, **change: np.ndarray):
        n = 60
        u = np.linspace(0, 1, n)
        one = {"time_s": 600 * u, "voltage_V": 3 + 0.5 * u, "current_A": 4 - u, "temperature_degC": 30 + 5 * u,
               "charge_capacity_Ah": 1.1 * u} | change  # fmt: skip
        self.columns = {
            k: np.concatenate([v * s for s in (1.0, 1.01, 1.02)]).astype(np.float32) for k, v in one.items()
        }
        super().__init__(data_hash="h", path=Path("fake.h5"), signals=tuple(one), reads=0)

    def curves(self, cell_id: str, signals: tuple[str, ...], part: str, first: int | None) -> Curves:
        self.reads += 1
        return Curves(np.array([1, 2, 3]), np.array([0, 60, 120, 180]), {s: self.columns[s] for s in signals})


def samples() -> pd.DataFrame:
    return pd.DataFrame({"cell_id": ["a", "a", "a", "b", "b", "b"], "ecl": [1, 2, 3, 1, 2, 3]})


def test_paper_layout_is_exact_and_inverts_exactly() -> None:
    p, store = prep(), FakeStore()
    curves, rows, notes = p.read(store, samples())  # type: ignore[arg-type]
    assert curves.shape == (6, 4, 400)
    assert rows.tolist() == list(range(6))
    assert notes == []
    p.fit(curves)
    x = p.transform(curves)
    assert x.shape == (6, 3, 2, 20, 20)
    assert x.min() == pytest.approx(0, abs=1e-6)
    assert x.max() == pytest.approx(1, abs=1e-6)
    assert p.slices[1::2] == ("charge_capacity_Ah",) * 3
    np.testing.assert_array_equal(x[:, 0, 1], x[:, 2, 1])
    np.testing.assert_allclose(p.inverse(x), p.physical(curves), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(p.inverse(np.stack([x, x])), np.stack([p.physical(curves)] * 2), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("scaler", ["minmax", "zscore"])
@pytest.mark.parametrize("grid", ["record", "time", "charge"])
def test_channel_layout_keeps_time_and_inverts(scaler: str, grid: str) -> None:
    p = prep(layout="channels", grid=grid, points=77, scaler=scaler)
    curves, _, _ = p.read(FakeStore(), samples())  # type: ignore[arg-type]
    p.fit(curves)
    x = p.transform(curves)
    assert x.shape == (6, 5, 77)
    assert p.slices == ("voltage_V", "current_A", "temperature_degC", "time_s", "charge_capacity_Ah")
    np.testing.assert_allclose(p.inverse(x), curves, rtol=1e-5, atol=1e-4)


def test_one_signal_alone() -> None:
    p = QuasiVideo(curves=SINGLE, conditions=["eol"])
    assert p.x_shape == (1, 1, 20, 20)
    assert p.slices == ("discharge_capacity_Ah",)
    assert QuasiVideo(curves=SINGLE, conditions=[], layout="channels", points=13).x_shape == (1, 13)
    name, values = p.axis()
    assert (name, values[0], values[-1]) == ("voltage_V", 3.5, 2.0)


def test_charge_from_current_balances_by_construction() -> None:
    p = prep(layout="channels", grid="time", points=200, charge_from_current=True)
    curves, _, _ = p.read(FakeStore(), samples())  # type: ignore[arg-type]
    p.fit(curves)
    x = p.transform(curves)
    x[:, 4] = 0.0  # whatever was generated for charge
    back = p.inverse(x)
    current, time, charge = back[:, 1], back[:, 3], back[:, 4]
    step = 0.5 * (current[:, 1:] + current[:, :-1]) * np.diff(time) / 3600
    np.testing.assert_allclose(np.diff(charge), step, atol=1e-6)
    with pytest.raises(ConfigError, match="charge_from_current"):
        prep(charge_from_current=True)


def test_state_is_plain_and_restores() -> None:
    import json

    p, q = prep(), prep()
    curves, _, _ = p.read(FakeStore(), samples())  # type: ignore[arg-type]
    p.fit(curves)
    q.load(json.loads(json.dumps(p.state())))
    np.testing.assert_array_equal(p.transform(curves), q.transform(curves))


def test_bad_cycles_are_left_out_and_reported() -> None:
    voltage = np.linspace(3, 3.5, 60)
    store = FakeStore(voltage_V=voltage)
    store.columns["voltage_V"][70] = np.nan
    curves, rows, notes = prep().read(store, samples())  # type: ignore[arg-type]
    assert rows.tolist() == [0, 2, 3, 5]
    assert len(curves) == 4
    assert "2 of 6 curves left out" in notes[0]
    assert "voltage_V is NaN" in notes[0]


def test_nothing_usable_is_one_clear_error() -> None:
    with pytest.raises(DataError, match=r"none of the 6 charge curves .*min_points"):
        prep(min_points=100).read(FakeStore(), samples())  # type: ignore[arg-type]


def test_absent_signal_names_the_remedy() -> None:
    store = FakeStore()
    store.signals = ("voltage_V",)
    with pytest.raises(DataError, match=r"no charge_capacity_Ah, current_A, temperature_degC.*data\.curves\.signals"):
        prep().read(store, samples())  # type: ignore[arg-type]


def test_constant_signal_cannot_be_scaled() -> None:
    p = prep()
    curves = np.ones((3, 4, 400), np.float32) * np.linspace(0, 1, 400, dtype=np.float32)
    curves[:, 2] = 24.0
    with pytest.raises(DataError, match="temperature_degC is constant"):
        p.fit(curves)


def test_cache_is_used_and_rebuilt_when_damaged(cache_dir: Path) -> None:
    p, store = prep(), FakeStore()
    first, _, _ = p.read(store, samples())  # type: ignore[arg-type]
    again, _, _ = p.read(store, samples())  # type: ignore[arg-type]
    assert store.reads == 2  # one a cell, once
    (file,) = (cache_dir / "arrays").glob("*.npz")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    file.write_bytes(whole)
    third, _, _ = p.read(store, samples())  # type: ignore[arg-type]
    assert store.reads == 4
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, third)


@pytest.mark.parametrize(
    "keys", [{"layout": "film"}, {"grid": "volts"}, {"points": 1}, {"scaler": "log"}, {"fit_on": "x"}]
)
def test_wrong_options_name_the_key(keys: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"preprocessing.{next(iter(keys))}"):
        prep(**keys)
