"""The generator makes what is shipped. Needs PyBaMM (extra `sim`)."""

import os

import numpy as np
import pytest

os.environ.setdefault("PYBAMM_DISABLE_TELEMETRY", "true")
pytest.importorskip("pybamm", reason="PyBaMM is not installed (extra sim)")

from batgen.data.sources.sim import Sim
from batgen.simulate import cell_model, cycles, design, write


def test_one_cell_again() -> None:
    shipped = next(Sim(noise=False).cells(10))
    again = cycles.solve_cell(cell_model.build(), design.draw_cells(0)[0], np.array([1, 10]))
    assert again.cell_id == shipped.info.cell_id
    by_number = {c.cycle: c for c in shipped.cycles}
    for k, number in enumerate((1, 10)):
        cycle = by_number[number]
        for name, rows in zip(cycles.CHARGE_SIGNALS, again.charge[k], strict=True):
            np.testing.assert_allclose(
                cycle.signals[name][slice(*cycle.charge)], rows, atol=2 * write.STEP[name] + 1e-3 * np.abs(rows).max()
            )
        capacity = shipped.summary["discharge_capacity_Ah"][number - 1]
        assert capacity == pytest.approx(again.summary[k, 0], rel=1e-4)


def test_design_is_the_same_for_a_seed_and_differs_between_seeds() -> None:
    assert design.draw_cells(0) == design.draw_cells(0)
    assert design.draw_cells(0) != design.draw_cells(1)


def test_stress_of_a_constant_current() -> None:
    # 5C up to 80 %: the excess over 5 - 2.5 q is 2.5 q, whose mean over (0, 0.8) is 1
    assert design.stress(design.Policy(5.0, 0.8, 5.0)) == pytest.approx(1.0)
    assert design.stress(design.Policy(3.0, 0.8, 3.0)) == 0


@pytest.mark.parametrize("life", [150, 151, 160, 500, 2300])
def test_sampled_cycles_are_enough_at_any_life(life: int) -> None:
    cell = design.draw_cells(0)[0].__class__(**{**vars(design.draw_cells(0)[0]), "life": life})
    number = design.sampled_cycles(cell, 1.0, 1.02)
    assert np.all(np.diff(number) > 0)
    assert np.sum(number <= 100) == len(design.EARLY_CYCLES) >= 25
    assert np.sum(number > 100) >= 25
    assert life in number


def test_packing_never_wraps() -> None:
    fits = np.array([[[0.0, 3.6]]])
    np.testing.assert_allclose(write.pack(fits, ("voltage_V",)) * write.STEP["voltage_V"], fits)
    for bad in (-0.1, 6.6, np.nan):
        with pytest.raises(ValueError, match="voltage_V"):
            write.pack(np.array([[[bad]]]), ("voltage_V",))


def test_rest_voltage_is_inverted() -> None:
    one = np.ones(3)
    lithium = cell_model.LITHIUM_AH * np.array([1.0, 0.9, 0.8])
    x = cell_model.stoichiometry_at(3.4, lithium, cell_model.Q_N_AH * one, cell_model.Q_P_AH * one)
    y = (lithium - x * cell_model.Q_N_AH) / cell_model.Q_P_AH
    np.testing.assert_allclose(cell_model.open_circuit_voltage(x, y), 3.4, atol=1e-6)
