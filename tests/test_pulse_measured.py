"""Whole runs on the measured pulse tests of retired cells: one seed, one case, against numbers measured before."""

from pathlib import Path
from typing import Any

import pytest

from tests.pulse_run_fixture import rows_of, run

#: MAPE in % of the average estimate that a run must stay below (paper protocol, honest protocol).
BOUNDS = {"NMC_2.1Ah": (1.6, 2.0), "LMO_10Ah": (2.1, 2.3)}


def number(rows: list[dict[str, Any]], protocol: str, method: str, metric: str = "MAPE") -> float:
    (row,) = [r for r in rows if (r["protocol"], r["method"], r["metric"]) == (protocol, method, metric)]
    return float(row["value"])


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batgen.processes.cores", lambda: 1)


@pytest.mark.parametrize("battery", list(BOUNDS))
def test_interpolation(battery: str, data_dir: Path, tmp_path: Path) -> None:
    words = [
        "model=cross_attention_cvae",
        "model.variant=film",
        "data=pulse",
        f"data.battery={battery}",
        "protocol=both",
    ]
    run(tmp_path, *words, "evaluation.soc_unknown=false")
    rows = [r for r in rows_of(tmp_path) if r.get("test_set") == "grid" and r["case"] == "0" and r["role"] != "paper"]
    for protocol, bound in zip(("paper", "honest"), BOUNDS[battery], strict=True):
        average = number(rows, protocol, "average")
        assert average < bound, (protocol, average)
        assert 0.8 < number(rows, protocol, "inversion", "coverage_90") < 0.98
        assert average < number(rows, protocol, "constant") / 3
    assert number(rows, "paper", "average") < number(rows, "paper", "ridge")


def test_the_published_model_comes_near_its_own_number(data_dir: Path, tmp_path: Path) -> None:
    """Case 3, cells shared, 50 epochs: published 5.0 %, one seed of theirs against one of ours."""
    words = ["model=cross_attention_cvae", "model.variant=paper", "data=pulse", "data.battery=NMC_2.1Ah"]
    run(tmp_path, *words, 'split.use=["3"]', "protocol=paper")
    rows = [r for r in rows_of(tmp_path) if r.get("test_set") == "grid"]
    assert number(rows, "paper", "published_with") == 5.0
    assert number(rows, "paper", "published_forest") == pytest.approx(5.0, abs=2.0)
