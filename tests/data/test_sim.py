"""The embedded dataset as shipped: what it promises, that it is physical, that noise is reproducible."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from batgen.data.cell import SIGNALS, SUMMARY, Cell
from batgen.data.eol import eol_cycle
from batgen.data.policy import parse_policy
from batgen.data.pulse_table import PULSE_COLUMNS
from batgen.data.sources.sim import PULSE_FEATURES, Sim
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def clean() -> list[Cell]:
    return list(Sim(noise=False).cells())


@pytest.fixture(scope="module")
def noisy() -> list[Cell]:
    return list(Sim().cells(100))


def part(cell: Cell, k: int, name: str) -> dict[str, np.ndarray]:
    cut = slice(*getattr(cell.cycles[k], name))
    return {signal: values[cut].astype(float) for signal, values in cell.cycles[k].signals.items()}


def test_file_is_small_and_says_what_it_is() -> None:
    (path,) = Sim().files()
    assert path.stat().st_size <= 5_000_000
    with h5py.File(path) as f:
        assert "Simulated, not measured" in f.attrs["origin"]
        assert "0.15 V" in f.attrs["origin"]
        assert "Invented: the life law" in f.attrs["origin"]


def test_cells_policies_ambients_rates(clean: list[Cell]) -> None:
    infos = [c.info for c in clean]
    assert len(infos) == len({i.cell_id for i in infos}) >= 48
    policies = [i.policy for i in infos]
    assert len(set(policies)) >= 12
    assert min(policies.count(p) for p in policies) >= 3
    assert len({i.ambient_degC for i in infos}) == len({i.discharge_c_rate for i in infos}) == 2
    assert all(parse_policy(i.policy) == pytest.approx((i.c1, i.q1, i.c2)) for i in infos)


def test_lives_spread_and_come_from_the_summary(clean: list[Cell]) -> None:
    lives = np.array([c.info.eol_cycle for c in clean])
    assert 140 <= lives.min() <= 200
    assert 2100 <= lives.max() <= 2400
    assert len(np.unique(lives)) > 60
    for c in clean:
        assert c.info.eol_cycle == eol_cycle(c.summary["cycle"], c.summary["discharge_capacity_Ah"], 0.88)
        assert not c.info.censored
        assert c.info.last_cycle > c.info.eol_cycle
        assert 0.85 < c.summary["discharge_capacity_Ah"].iloc[-1] < 0.87


def test_another_end_of_life() -> None:
    early, never = (next(Sim(eol_capacity_Ah=ah).cells(1)).info for ah in (1.0, 0.7))
    assert early.eol_cycle < next(Sim().cells(1)).info.eol_cycle
    assert np.isnan(never.eol_cycle)
    assert never.censored


def test_sampling_of_life(clean: list[Cell]) -> None:
    for c in clean:
        number = np.array([x.cycle for x in c.cycles])
        assert np.sum(number <= 100) >= 25
        assert np.sum(number <= 20) >= 8
        assert np.sum(number > 100) >= 25
        assert {1, 10, 100, int(number[-1])} <= set(number)
        assert number[-1] == c.info.last_cycle


def test_limit_of_cycles(clean: list[Cell], noisy: list[Cell]) -> None:
    for full, first in zip(clean, noisy, strict=True):
        assert [x.cycle for x in first.cycles] == [x.cycle for x in full.cycles if x.cycle <= 100]
        assert len(first.summary) == len(full.summary)


def test_signals_are_complete_and_monotone(clean: list[Cell]) -> None:
    for c in clean:
        for k, cycle in enumerate(c.cycles):
            assert tuple(sorted(cycle.signals)) == tuple(sorted(SIGNALS))
            assert all(np.isfinite(v).all() and v.dtype == np.float32 for v in cycle.signals.values())
            assert np.all(np.diff(cycle.signals["time_s"]) > 0)
            up, down = part(c, k, "charge"), part(c, k, "discharge")
            assert np.all(np.diff(up["charge_capacity_Ah"]) >= 0)
            assert np.all(np.diff(down["discharge_capacity_Ah"]) >= 0)
            assert np.all(np.diff(down["voltage_V"]) <= 0)
            assert up["voltage_V"].max() < 3.602
            assert down["voltage_V"].min() >= 1.999
            assert up["current_A"][-1] == pytest.approx(0.022, abs=0.001)


def test_coulomb_balance(clean: list[Cell]) -> None:
    for c in clean[::5]:
        for k in range(len(c.cycles)):
            for name, sign in (("charge", 1), ("discharge", -1)):
                s = part(c, k, name)
                counted = sign * np.sum(np.diff(s["time_s"]) * (s["current_A"][1:] + s["current_A"][:-1]) / 2) / 3600
                assert counted == pytest.approx(s[f"{name}_capacity_Ah"][-1], rel=1.5e-3)


def test_steps_are_sharp_and_follow_the_policy(clean: list[Cell]) -> None:
    for c in clean:
        i, nominal = c.info, c.info.nominal_capacity_Ah
        for k, cycle in enumerate(c.cycles):
            if cycle.cycle > 100:
                continue
            s = part(c, k, "charge")
            q, current, free = s["charge_capacity_Ah"], s["current_A"], s["voltage_V"] < 3.57
            margin, edges = 2e-4, [0.0, min(i.q1, 0.8) * nominal, 0.8 * nominal, 2 * nominal]
            for rate, low, high in zip((i.c1, i.c2, 1.0), edges[:-1], edges[1:], strict=True):
                inside = (q > low + margin) & (q < high - margin) & free
                np.testing.assert_allclose(current[inside], rate * nominal, rtol=5e-3)
            jump = np.flatnonzero(np.abs(np.diff(current)) > 0.3)
            jump = jump[free[jump + 1]]
            assert len(jump) == (1 if i.q1 == 0.8 or i.c1 == i.c2 else 2)
            assert np.diff(s["time_s"])[jump].max() < 2.0


def test_summary(clean: list[Cell]) -> None:
    for c in clean:
        s = c.summary
        assert tuple(s.columns) == SUMMARY
        assert np.isfinite(s.to_numpy()).all()
        assert np.array_equal(s["cycle"], np.arange(1, c.info.last_cycle + 1))
        assert s["coulombic_efficiency"].between(0.99, 0.999999).all()
        lost = s["charge_capacity_Ah"] - s["discharge_capacity_Ah"]
        np.testing.assert_allclose(s["discharge_capacity_Ah"] / s["charge_capacity_Ah"], s["coulombic_efficiency"])
        assert 0.1 < lost.sum() < 0.5  # the lithium lost over life accounts for the fade
        assert s["internal_resistance_Ohm"].between(0.012, 0.03).all()
        assert (s["temperature_min_degC"] < s["temperature_mean_degC"]).all()
        assert (s["temperature_mean_degC"] < s["temperature_max_degC"]).all()
        for k in (0, 20, -1):
            row, cycle = s.iloc[c.cycles[k].cycle - 1], c.cycles[k]
            for name in ("charge_capacity_Ah", "discharge_capacity_Ah"):
                assert row[name] == pytest.approx(cycle.signals[name][-1], abs=6e-5)


def test_charge_exceeds_discharge_by_the_loss(clean: list[Cell]) -> None:
    for c in clean:
        last, s = c.cycles[-1], c.summary.iloc[-1]
        curves = last.signals["charge_capacity_Ah"][-1] - last.signals["discharge_capacity_Ah"][-1]
        assert curves == pytest.approx(s["discharge_capacity_Ah"] * (1 / s["coulombic_efficiency"] - 1), abs=5e-5)


def test_cells_of_one_condition_differ_but_less_than_conditions(clean: list[Cell]) -> None:
    at = np.linspace(0.05, 1.0, 40)
    curves: dict[tuple, list[np.ndarray]] = {}
    for c in clean:
        s = part(c, 11, "charge")
        v = np.interp(at, s["charge_capacity_Ah"], s["voltage_V"])
        curves.setdefault((c.info.policy, c.info.ambient_degC), []).append(v)
    within = np.mean([np.var(v, axis=0, ddof=1).mean() for v in curves.values()])
    between = np.var([np.mean(v, axis=0) for v in curves.values()], axis=0, ddof=1).mean()
    assert 1e-6 < within < 0.1 * between


def test_noise_is_mild_reproducible_and_independent_of_what_is_read(clean: list[Cell], noisy: list[Cell]) -> None:
    again = list(Sim().cells(20))
    other = next(Sim(noise_seed=1).cells(20))
    for c, first in zip(noisy, again, strict=True):
        assert c.summary.equals(first.summary)
        for a, b in zip(c.cycles, first.cycles, strict=False):
            assert all(np.array_equal(a.signals[n], b.signals[n]) for n in SIGNALS)
    assert not np.array_equal(other.cycles[0].signals["voltage_V"], noisy[0].cycles[0].signals["voltage_V"])
    for name, sigma in (("voltage_V", 0.001), ("current_A", 0.002), ("temperature_degC", 0.05), ("time_s", 0.0)):
        pairs = [
            (a.signals[name], b.signals[name])
            for c, d in zip(noisy, clean, strict=True)
            for a, b in zip(c.cycles, d.cycles, strict=False)
        ]
        error = np.concatenate([a.astype(float) - b for a, b in pairs])
        assert np.std(error) == pytest.approx(sigma, rel=0.02, abs=1e-9)
    gain = np.concatenate(
        [
            n.summary["discharge_capacity_Ah"] / c.summary["discharge_capacity_Ah"]
            for n, c in zip(noisy, clean, strict=True)
        ]
    )
    assert np.std(gain) * 1.1 == pytest.approx(0.0002, rel=0.02)
    assert all(np.all(np.diff(part(c, k, "charge")["charge_capacity_Ah"]) >= 0) for c in noisy for k in range(5))


def test_pulses() -> None:
    clean, noisy = Sim(noise=False).pulses(), Sim().pulses()
    assert set(clean["chemistry"]) == {"LFP", "NMC"}
    assert list(clean.columns) == [*PULSE_COLUMNS, *PULSE_FEATURES]
    assert set(clean["battery"]) == {"LFP_1.1Ah", "NMC_5Ah"}
    assert (clean["stage_id"] == clean["cell_id"]).all()
    assert set(clean["test_set"]) == {"grid"}
    assert set(clean["pulse_width_s"]) == {5.0}
    assert np.array_equal(np.unique(clean["soc"]), np.round(np.arange(1, 11) * 0.05, 2))
    assert clean["soh"].between(0.6, 1.0).all()
    assert not clean.duplicated(["cell_id", "soc"]).any()
    for _, cells in clean.groupby("chemistry"):
        assert cells["cell_id"].nunique() >= 30
        assert np.ptp(cells["soh"]) > 0.3
    u = {n: clean[n] for n in PULSE_FEATURES}
    for k, sign in enumerate((1, -1, 1, -1, 1)):  # + is charge; the pulse builds up, the rest relaxes back
        before, begin, end, off, rested = (u[f"U{4 * k + j}"] for j in range(1, 6))
        assert (sign * (begin - before) > 0.005).all()
        assert (sign * (end - begin) > 0).all()
        assert (sign * (end - off) > 0.005).all()
        assert (sign * (off - rested) > 0).all()
    assert np.std(noisy[list(PULSE_FEATURES)] - clean[list(PULSE_FEATURES)], axis=None) == pytest.approx(
        0.001, rel=0.03
    )


def test_store_takes_it_all() -> None:
    store = open_store(Sim(), cycles=20, progress=False)
    assert len(store.infos) == 72
    assert store.rejected == []
    pulses = store.pulses()
    assert pulses is not None
    assert pulses.shape == (600, 30)


def test_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.voltage_noise_V=-1.*data\.noise=false"):
        Sim(voltage_noise_V=-1)
    with pytest.raises(DataError, match=r"sim\.h5 is missing.*make_sim\.py"):
        Sim(folder=str(tmp_path)).files()
    (tmp_path / "sim.h5").write_bytes(b"not hdf5")
    with pytest.raises(DataError, match=r"sim\.h5: not a readable HDF5 file"):
        next(Sim(folder=str(tmp_path)).cells())
    with h5py.File(tmp_path / "sim.h5", "w") as f:
        f.attrs["schema"] = 99
    with pytest.raises(DataError, match="schema 1"):
        Sim(folder=str(tmp_path)).pulses()


def test_reading_needs_no_pybamm() -> None:
    code = "import sys; sys.modules['pybamm'] = None; from batgen.data.sources.sim import Sim; next(Sim().cells(1))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
