"""What `generate` drew, as a set of curves and as files: categories, pulse voltages and provenance arrive."""

from pathlib import Path

import numpy as np
import pytest

from batgen.data.exchange import read
from batgen.errors import ConfigError, DataError
from batgen.generate import Generated, write

PROVENANCE = {"synthetic": True, "model": "RCVAE", "data": "sim", "checkpoint": "a.ckpt", "seed": 0}


def pulses() -> Generated:
    signals = {f"U{k}": np.full((2, 1), 3 + k / 100, np.float32) for k in range(1, 13)}
    conditions = {"soc": 0.3, "chemistry=LMO": 0.0, "chemistry=NMC": 1.0, "nominal_capacity_Ah": 2.0}
    return Generated(signals, conditions, "point", np.zeros(1), ["a note"], PROVENANCE)


def profiles(**provenance: str) -> Generated:
    signals = {"temperature_degC": np.full((3, 4), 30.0), "time_s": np.tile(np.arange(4.0), (3, 1))}
    return Generated(signals, {"ecl": 5.0}, "fraction of duration", np.linspace(0, 1, 4), [], PROVENANCE | provenance)


@pytest.mark.parametrize("name", ["a.h5", "a.csv", "a.parquet"])
def test_pulse_tests_are_one_voltage_over_the_steps(name: str, tmp_path: Path) -> None:
    assert write(tmp_path / name, pulses()) == tmp_path / name
    found = read(tmp_path / name)
    assert (found.signals, found.axis_name, found.values.shape) == (("voltage_V",), "pulse_step", (2, 1, 12))
    np.testing.assert_allclose(found.values[1, 0], 3 + np.arange(1, 13) / 100, rtol=1e-6)
    assert list(found.axis) == list(range(1, 13))
    assert dict(found.table.iloc[0]) == {
        "cell_id": "synthetic",
        "soc": 0.3,
        "chemistry": "NMC",
        "nominal_capacity_Ah": 2,
    }
    assert found.facts == PROVENANCE | {"notes": ["a note"]}


def test_profiles_lie_on_their_span_and_keep_the_cell_they_continue() -> None:
    made = profiles().curve_set()
    assert (made.axis_name, made.signals) == ("span", ("temperature_degC", "time_s"))
    assert set(made.cells) == {"synthetic"}
    assert set(profiles(cell="B0005").curve_set().cells) == {"B0005"}


def test_a_format_that_cannot_hold_them_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="format=bdf cannot hold this.*no voltage_V and no current_A.*format=batgen"):
        write(tmp_path / "a.csv", profiles(), "bdf")
    with pytest.raises(ConfigError, match="one of .pkl, .json"):
        write(tmp_path / "a.h5", profiles(), "batteryml")
    assert not list(tmp_path.glob("a.*"))
