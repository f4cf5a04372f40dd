"""Planted failures: each is caught by its own check, and held-out cells measured again pass them all."""

import numpy as np
import pandas as pd
import pytest

from batgen.data.curve_set import CurveSet
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.physics_rows import physics_rows
from tests.evaluation import planted
from tests.evaluation.planted import POINTS, SIGNALS

CONTEXT = {"protocol": "honest", "model": "made"}


def rows_of(generator: planted.Generator, draws: int = 2) -> dict[str, dict]:
    return {row["signal"]: row for row in physics_rows(planted.comparison(generator, draws=draws), 0, CONTEXT)}


def changed(signal: str, change) -> planted.Generator:
    """Exact draws with one signal (..., P) changed."""

    def generator(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
        draws = planted.draws_of(real, count, seed)
        draws[:, :, SIGNALS.index(signal)] = change(draws[:, :, SIGNALS.index(signal)])
        return draws

    return generator


def shuffled_signals(real: CurveSet, train: CurveSet, count: int, seed: int) -> np.ndarray:
    """Points in random order, but over a time and a charge that go on."""
    shuffled, draws = planted.shuffled_time(real, train, count, seed), planted.draws_of(real, count, seed)
    draws[:, :, :3] = shuffled[:, :, :3]
    return draws


def hole(q: np.ndarray) -> np.ndarray:
    """Charge that appears in one place and is missing in another."""
    q = q.copy()
    q[..., 10:20] += 0.05 * q[..., -1:]
    return q


def broken(v: np.ndarray) -> np.ndarray:
    v = v.copy()
    v[..., 5] = np.nan
    return v


def kicked(v: np.ndarray) -> np.ndarray:
    """The voltage falls as the charge begins."""
    v = v.copy()
    v[..., 0] = v[..., 3] + 0.1
    return v


def second_rise(i: np.ndarray) -> np.ndarray:
    """The current comes back after the constant-voltage phase."""
    i = i.copy()
    i[..., -1] = i[..., 0]
    return i


@pytest.mark.parametrize("generator", [planted.measured, planted.right])
def test_measured_again_passes_everything(generator: planted.Generator) -> None:
    rows = rows_of(generator)
    assert set(rows) >= {
        "finite", "time_steps", "coulomb_balance", "coulomb_local", "monotone_charge", "voltage_window", "current_limit",
        "current_policy", "cc_cv_grammar", "ohmic_step", "temperature_range", "not_flat", "ageing_trend",
    }  # fmt: skip
    for name, row in rows.items():
        assert row["value"] > 0.95, name
        assert row["floor"] > 0.95, name
        assert (row["metric"], row["family"], row["unit"], row["direction"]) == ("pass_rate", "physics", "1", "higher")
        assert row["low"] <= row["value"] <= row["high"]
        assert "note" not in row


@pytest.mark.parametrize(
    ("check", "generator"),
    [
        ("coulomb_balance", planted.coulomb_imbalance),
        ("coulomb_local", changed("charge_capacity_Ah", hole)),
        ("voltage_window", planted.voltage_above),
        ("time_steps", planted.shuffled_time),
        ("time_steps", changed("time_s", lambda t: t[..., ::-1])),
        ("not_flat", planted.flat_temperature),
        ("monotone_charge", changed("charge_capacity_Ah", lambda q: q[..., ::-1])),
        ("ohmic_step", changed("voltage_V", kicked)),
        ("cc_cv_grammar", changed("current_A", second_rise)),
        ("current_limit", changed("current_A", lambda i: 1.2 * i)),
        ("current_policy", changed("current_A", lambda i: 0.9 * i)),
        ("temperature_range", changed("temperature_degC", lambda t: t + 60)),
        ("smoothness_voltage_V", shuffled_signals),
        ("rate_temperature_degC", changed("temperature_degC", lambda t: t + 20 * (np.arange(POINTS) > 7))),
        ("finite", changed("voltage_V", broken)),
        ("ageing_trend", planted.mean_curve),
        ("ageing_trend", planted.wrong_condition),
    ],
)
def test_each_failure_is_caught_by_its_check(check: str, generator: planted.Generator) -> None:
    row = rows_of(generator)[check]
    assert row["value"] < (0.05 if check != "ageing_trend" else 0.5)
    assert row["floor"] is None or row["floor"] > 0.95


def test_a_failure_of_one_kind_leaves_other_checks_alone() -> None:
    rows = rows_of(planted.coulomb_imbalance)
    assert [name for name, row in rows.items() if row["value"] < 0.9] == ["coulomb_balance"]


def test_without_training_curves_the_row_says_where_tolerances_come_from() -> None:
    full = planted.comparison(draws=2)
    alone = Comparison(full.real, full.generated, full.draws, None, None, full.told, 0)
    rows = physics_rows(alone, 0, CONTEXT)
    assert all("held-out" in row["note"] for row in rows if row["signal"] != "ageing_trend")


def test_without_draws_the_generated_curves_are_checked() -> None:
    full = planted.comparison(planted.coulomb_imbalance, draws=2)
    some = full.generated.take(np.arange(30))
    found = {
        r["signal"]: r for r in physics_rows(Comparison(full.real, some, None, full.train, None, full.told, 0), 0, {})
    }
    assert found["coulomb_balance"]["value"] == 0.0
    assert found["coulomb_balance"]["n"] == 30
    assert found["coulomb_balance"]["floor"] > 0.95


def test_the_same_seed_gives_the_same_rows() -> None:
    both = [physics_rows(planted.comparison(draws=2), 3, CONTEXT) for _ in range(2)]
    assert both[0] == both[1]


def test_a_low_pass_rate_of_measured_curves_is_said() -> None:
    full = planted.comparison(draws=2)
    values = full.real.values.copy()
    values[:40, SIGNALS.index("charge_capacity_Ah")] *= 1.05  # a faulty counter in part of the held-out cells
    odd = Comparison(full.real.with_values(values), full.generated, full.draws, full.train, None, full.told, 0)
    rows = {row["signal"]: row for row in physics_rows(odd, 0, CONTEXT)}
    assert "compare with that" in rows["coulomb_balance"]["note"]


def sequences(draws: float = 0.0) -> Comparison:
    """A capacity that fades over 40 cycles, known to the end of each record only."""
    rng = np.random.default_rng(0)

    def one(cells: int, first: int) -> CurveSet:
        fade = rng.uniform(0.003, 0.006, (cells, 1)) * np.arange(40)
        values = (1.1 - fade + 0.001 * rng.normal(size=fade.shape)).astype(np.float32)
        values[np.arange(40) > rng.integers(25, 40, (cells, 1))] = np.nan
        table = pd.DataFrame({"cell_id": [f"c{first + k}" for k in range(cells)], "eol": 40.0})
        return CurveSet(values[:, None], ("discharge_capacity_Ah",), np.arange(40.0), "cycle", table)

    train, real = one(60, 0), one(20, 100)
    made = np.stack(
        [np.nan_to_num(real.values, nan=0.9) + draws * rng.normal(size=real.values.shape) for _ in range(2)]
    )
    made = made.astype(np.float32)
    return Comparison(real, real.with_values(made[0]), made, train, None, (), 0)


def test_sequences_with_open_ends_are_judged_by_their_shape_alone() -> None:
    rows = {row["signal"]: row for row in physics_rows(sequences(), 0, CONTEXT)}
    assert set(rows) == {
        "finite", "not_flat", "rate_discharge_capacity_Ah", "smoothness_discharge_capacity_Ah"
    }  # fmt: skip
    assert all(row["floor"] > 0.9 for row in rows.values())
    noisy = {row["signal"]: row["value"] for row in physics_rows(sequences(0.05), 0, CONTEXT)}
    assert noisy["smoothness_discharge_capacity_Ah"] < 0.05


def pulses(sign: float = 1.0) -> Comparison:
    """A charge pulse on 5 voltages: up, up, down, down; `sign` -1 generates a discharge instead."""
    rng = np.random.default_rng(1)
    shape = np.array([0.0, 0.05, 0.07, 0.03, 0.01])

    def one(count: int, way: float, first: int) -> CurveSet:
        values = rng.uniform(3.2, 3.4, (count, 1)) + way * shape * rng.uniform(0.7, 1.4, (count, 1))
        table = pd.DataFrame({"cell_id": [f"c{first + k // 4}" for k in range(count)], "soc": 0.5, "soh": 0.9})
        return CurveSet(values[:, None].astype(np.float32), ("voltage_V",), np.arange(5.0), "pulse_step", table)

    real, made = one(40, 1.0, 100), one(40, sign, 200)
    return Comparison(real, real.with_values(made.values), made.values[None], one(80, 1.0, 0), None, (), 0)


def test_pulses_step_the_way_of_their_current() -> None:
    right = {row["signal"]: row for row in physics_rows(pulses(), 0, CONTEXT)}
    assert right["pulse_step"]["value"] > 0.95
    assert {row["signal"]: row["value"] for row in physics_rows(pulses(-1.0), 0, CONTEXT)}["pulse_step"] < 0.05
