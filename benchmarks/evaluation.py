"""The full evaluation of 1,000 generated against 1,000 measured curves of 4 x 256 points, floors included: seconds and memory.

Each measurement runs in a process of its own, so that its peak memory is its own; the second of the same seed must give
the same numbers.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ROWS, POINTS, CELLS = 1000, 256, 40


def made_comparison(rows: int, draws: int):  # type: ignore[no-untyped-def]
    """Charge curves of `CELLS` cells, others to train on, and draws of the same law."""
    from batgen.data.curve_set import CurveSet
    from batgen.evaluation.comparison import Comparison

    rng = np.random.default_rng(0)
    share = np.linspace(0.0, 1.0, POINTS)
    signals = ("voltage_V", "current_A", "temperature_degC", "charge_capacity_Ah")

    def curves(table: pd.DataFrame) -> np.ndarray:
        count = len(table)
        soh, rate = table["soh"].to_numpy()[:, None], table["c1"].to_numpy()[:, None]
        own = rng.normal(0, 1, (count, 3))
        charge = 1.1 * soh * share
        current = 1.1 * np.minimum(rate, 0.2 + 6 * (1.02 - share))
        voltage = 3.2 + 0.3 * share + 0.05 * rate * (1 + 0.1 * own[:, :1]) + 0.001 * rng.normal(size=(count, POINTS))
        warm = table["ambient_degC"].to_numpy()[:, None] + 2 * rate * np.sin(np.pi * share) * (1 + 0.1 * own[:, 1:2])
        temperature = warm + 0.05 * rng.normal(size=(count, POINTS))
        return np.stack([np.minimum(voltage, 3.6), current, temperature, charge], axis=1).astype(np.float32)

    def measured(first: int) -> CurveSet:
        cell = np.repeat(np.arange(CELLS), rows // CELLS)
        ecl = np.tile(np.linspace(1, 500, rows // CELLS), CELLS)
        table = pd.DataFrame(
            {
                "cell_id": [f"c{first + c}" for c in cell], "ecl": ecl, "eol": 600.0 + 10 * cell, "soh": 1 - 0.2 * ecl / 600,
                "c1": 1.0 + cell % 5, "q1": 0.5, "c2": 1.0 + cell % 5, "ambient_degC": 25.0 + 5 * (cell % 2),
                "nominal_capacity_Ah": 1.1, "voltage_min_V": 2.0, "voltage_max_V": 3.6, "chemistry": "LFP",
            }
        )  # fmt: skip
        return CurveSet(curves(table), signals, share, "charge", table)

    real, train = measured(0), measured(1000)
    made = np.stack([curves(real.table) for _ in range(draws)])
    at_train = np.stack([curves(train.table) for _ in range(min(draws, 8))])
    told = ("ecl", "soh", "c1", "ambient_degC")
    return Comparison(real, real.with_values(made[0]), made, train, at_train, told, 0)


def _measure(draws: int) -> None:
    from batgen.evaluation import full

    comparison = made_comparison(ROWS, draws)
    found, rows = {}, []
    for name, family in full.FAMILIES.items():
        started = time.perf_counter()
        rows += family(comparison, 0, {"protocol": "honest", "method": "law", "role": "model"})
        found[name] = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    numbers = [(r["metric"], r["signal"], r["value"], r["low"], r["high"], r["floor"]) for r in rows]
    print(json.dumps({"seconds": found, "peak_MiB": peak, "rows": json.dumps(numbers)}))


def run() -> list[tuple[str, float, float, float]]:
    """(what, measured, target, ratio): seconds and MiB; the last line is 0 where a rerun gave the same numbers."""
    table = []
    said = {}
    for draws in (1, 20, 20):
        command = [sys.executable, "-m", "benchmarks.evaluation", str(draws)]
        out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        result = json.loads(out.splitlines()[-1])
        if draws in said:
            same = float(result["rows"] != said[draws]["rows"])
            table.append((f"evaluation, {draws} draws: rerun differs", same, 0.0, same))
            continue
        said[draws] = result
        total = sum(result["seconds"].values())
        for name, seconds in result["seconds"].items():
            table.append((f"evaluation, {draws} draws: {name} (s)", seconds, 60.0, seconds / 60))
        table.append((f"evaluation, {draws} draws: all (s of 60)", total, 60.0, total / 60))
        table.append(
            (
                f"evaluation, {draws} draws: peak memory (MiB of 1024)",
                result["peak_MiB"],
                1024.0,
                result["peak_MiB"] / 1024,
            )
        )
    return table


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
