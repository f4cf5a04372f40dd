from dataclasses import replace

import numpy as np
import pytest

from batgen.data.cell import Cell
from batgen.data.schema import check_cell
from batgen.errors import DataError
from tests.data.fake_source import make_cell, make_cycle


def changed(cell: Cell, name: str, change, only: int | None = None) -> Cell:
    """The cell with one signal changed, in one cycle or in all."""
    cycles = [
        replace(c, signals={**c.signals, name: change(c.signals[name])}) if only in (None, c.cycle) else c
        for c in cell.cycles
    ]
    return replace(cell, cycles=cycles)


def test_sound_cell_passes_unchanged():
    cell = make_cell("a")
    checked = check_cell(cell)
    assert checked.cycles == cell.cycles
    assert checked.rejected == cell.rejected


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("voltage_V", lambda v: v * 1000, "voltage_V .*mV.*divide by 1000"),
        ("temperature_degC", lambda v: v + 273.15, "kelvin"),
        ("temperature_degC", lambda v: v * 1.8 + 32, "degF"),
        ("voltage_V", lambda v: v * np.nan, "cycles cannot be used, first cycle 1: voltage_V is NaN"),
        ("voltage_V", lambda v: v * 0 + 3, "voltage_V is constant throughout the charge"),
        ("charge_capacity_Ah", lambda v: v * 0, "charge_capacity_Ah is constant"),
        ("current_A", lambda v: v * 0, "current_A is zero"),
        ("current_A", lambda v: v / 1.1, "disagree, as if the units were.*C-rate"),
        ("current_A", lambda v: v * 2.7, "no known unit"),
        ("time_s", lambda v: v / 60, "disagree.*min"),
        ("time_s", lambda v: v[::-1], "time_s runs backwards"),
    ],
)
def test_fault_of_the_whole_cell_is_an_error_that_names_it(name, change, message):
    with pytest.raises(DataError, match=f"fake cell a.*{message}"):
        check_cell(changed(make_cell("a"), name, change))


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("voltage_V", lambda v: v * np.nan, "voltage_V is NaN throughout"),
        ("voltage_V", lambda v: np.where(np.arange(len(v)) == 3, 12, v), "voltage_V reaches 12"),
        ("voltage_V", lambda v: np.where(np.arange(len(v)) == 3, np.inf, v), "infinite"),
        ("temperature_degC", lambda v: np.where(np.arange(len(v)) == 3, -400, v), "temperature_degC reaches -400"),
        ("time_s", lambda v: np.where(np.arange(len(v)) == 9, 0, v), "time_s runs backwards at sample 9"),
        ("time_s", lambda v: np.where(np.arange(len(v)) == 9, np.nan, v), "time_s is NaN at sample 9"),
        ("time_s", lambda v: np.where(np.arange(len(v)) == len(v) - 1, np.nan, v), "time_s is NaN"),
        ("discharge_capacity_Ah", lambda v: v * 0, "discharge_capacity_Ah is constant throughout the discharge"),
        ("charge_capacity_Ah", lambda v: v * np.nan, "charge_capacity_Ah is NaN throughout the charge"),
    ],
)
@pytest.mark.parametrize("number", [1, 7, 30])
def test_fault_of_one_record_is_rejected_and_reported(name, change, reason, number):
    checked = check_cell(changed(make_cell("a"), name, change, only=number))
    assert [c.cycle for c in checked.cycles] == [k for k in range(1, 31) if k != number]
    assert checked.rejected[-1].record == f"cycle {number}"
    assert reason in checked.rejected[-1].reason


def test_some_nan_samples_and_constant_temperature_are_no_fault():
    cell = changed(make_cell("a"), "voltage_V", lambda v: np.where(np.arange(len(v)) == 3, np.nan, v))
    cell = changed(cell, "temperature_degC", lambda v: v * 0 + 25)
    assert len(check_cell(cell).cycles) == 30


def test_capacity_may_be_nan_where_its_part_is_absent():
    cell = changed(make_cell("a"), "charge_capacity_Ah", lambda v: v * np.nan)
    cell = replace(cell, cycles=[replace(c, charge=(0, 0)) for c in cell.cycles])
    assert len(check_cell(cell).cycles) == 30


def test_structure():
    cell = make_cell("a", 3)
    first = cell.cycles[0]
    with pytest.raises(DataError, match="cycle 1: unknown signal voltage_mV"):
        check_cell(replace(cell, cycles=[replace(first, signals={**first.signals, "voltage_mV": np.ones(3)})]))
    with pytest.raises(DataError, match="vectors of one length"):
        check_cell(changed(cell, "voltage_V", lambda v: v[:-1]))
    short = replace(first, signals={k: v for k, v in first.signals.items() if k != "time_s"})
    with pytest.raises(DataError, match="signal time_s is in some cycles only"):
        check_cell(replace(cell, cycles=[short, *cell.cycles[1:]]))
    with pytest.raises(DataError, match="charge range"):
        check_cell(replace(cell, cycles=[replace(first, charge=(0, 10_000))]))
    with pytest.raises(DataError, match="look at cycle 2"):
        check_cell(replace(cell, cycles=[make_cycle(3), make_cycle(2)]))
    with pytest.raises(DataError, match="look at cycle 0"):
        check_cell(replace(cell, cycles=[make_cycle(0)]))


def test_summary_and_facts():
    cell = make_cell("a")
    with pytest.raises(DataError, match="no column internal_resistance_Ohm"):
        check_cell(replace(cell, summary=cell.summary.drop(columns="internal_resistance_Ohm")))
    with pytest.raises(DataError, match="mAh"):
        check_cell(replace(cell, summary=cell.summary.assign(discharge_capacity_Ah=1000.0)))
    with pytest.raises(DataError, match="row 1 has 29"):
        check_cell(replace(cell, summary=cell.summary.assign(cycle=30 - np.arange(30))))
    with pytest.raises(DataError, match="q1 is a fraction"):
        check_cell(make_cell("a", q1=80.0))
    with pytest.raises(DataError, match="voltage window"):
        check_cell(make_cell("a", voltage_max_V=3600.0))
