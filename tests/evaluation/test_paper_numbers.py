"""The published tables: complete, consistent with each other, converted to our units."""

import pytest

from batgen.evaluation.paper import paper_rows, printed_rows
from batgen.evaluation.reconstruction import PAPER_WEIGHTS, TOTAL, total_weights

CYCLES = (20, 40, 60, 80, 100)
Printed = dict[tuple[str, str, str, str], float]


def printed(*names: str) -> Printed:
    """(cycles, detach, signal, metric) -> value of the readable rows of some tables."""
    rows = [row for name in names for row in printed_rows(name) if row["value"]]
    return {(r["cycles"], r["detach"], r["signal"], r["metric"]): float(r["value"]) for r in rows}


def layers() -> list[str]:
    middle = [f"{part}_{i}" for i in range(2, 16) for part in ("Decoder", "Encoder")]
    return ["Decoder_1", *middle, "Encoder_16", "None", "Embedding"]


def test_tables_are_complete() -> None:
    assert len(printed_rows("table1")) == 5 * 10
    assert len(printed_rows("table2")) == 32 * 6
    for name in ("table_s1", "table_s2"):
        rows = printed_rows(name)
        assert len(rows) == 160 * 4
        assert [r["detach"] for r in rows[::4]] == layers() * 5
    every = [row for name in ("table1", "table2", "table_s1", "table_s2") for row in printed_rows(name)]
    unreadable = [row for row in every if not row["value"]]
    assert {(r["cycles"], r["detach"], r["signal"]) for r in unreadable} == {
        ("60", "Encoder_2", "voltage_V"),
        ("60", "Decoder_3", "voltage_V"),
    }
    assert all(r["note"] for r in unreadable)


def test_tables_agree_with_each_other() -> None:
    supplement, table2 = printed("table_s1", "table_s2"), printed("table2")
    for (cycles, layer, signal, metric), value in printed("table1").items():
        if signal != TOTAL:
            assert supplement[cycles, layer, signal, metric] == value
    for key, value in table2.items():
        if key[2] != TOTAL:
            assert supplement[key] == value


@pytest.mark.parametrize(("metric", "power", "tolerance"), [("MAE", 1, 0.001), ("RMSE", 2, 0.002)])
def test_the_papers_total_is_the_mean_over_six_slices(metric: str, power: int, tolerance: float) -> None:
    values, weights = printed("table_s1", "table_s2", "table2", "table1"), total_weights(list(PAPER_WEIGHTS))
    totals = {key: value for key, value in values.items() if key[2:] == (TOTAL, metric)}
    assert len(totals) == 32 + 4  # every layer at 100 cycles, and the full model at the others
    for (cycles, layer, _, _), total in totals.items():
        parts = sum(w * values[cycles, layer, s, metric] ** power for s, w in weights.items())
        assert parts ** (1 / power) == pytest.approx(total, abs=tolerance), (cycles, layer)


def test_rows_in_our_units() -> None:
    rows = {(r["signal"], r["metric"]): r for r in paper_rows(100)}
    assert len(rows) == 10
    assert rows["voltage_V", "MAE"]["value"] == 0.022
    assert rows["current_A", "MAE"]["value"] == pytest.approx(0.272 * 1.21)
    assert rows["current_A", "MAE"]["unit"] == "A"
    assert "printed 0.272" in rows["current_A", "MAE"]["note"]
    total = rows[TOTAL, "MAE"]
    assert total["value"] == pytest.approx((0.022 + 0.272 * 1.21 + 0.404 + 3 * 0.02) / 6)
    assert "printed 0.126" in total["note"]
    squares = 0.046**2 + (0.737 * 1.21) ** 2 + 0.773**2 + 3 * 0.044**2
    assert rows[TOTAL, "RMSE"]["value"] == pytest.approx((squares / 6) ** 0.5)
    assert {(r["role"], r["mode"], r["table"]) for r in rows.values()} == {("paper", "reconstruction", "Table 1")}


@pytest.mark.parametrize("cycles", CYCLES)
def test_every_published_number_of_cycles_has_rows(cycles: int) -> None:
    assert len(paper_rows(cycles)) == 10
    assert len(paper_rows(cycles, "Embedding")) == 10


def test_removed_layers_and_what_was_never_published() -> None:
    assert {r["table"] for r in paper_rows(100, "Encoder_5")} == {"Table 2", "Table S2", "Table 2, Table S2"}
    assert {r["signal"] for r in paper_rows(60, "Encoder_2")} == {"current_A", "temperature_degC", "charge_capacity_Ah"}
    assert paper_rows(30) == []
    assert paper_rows(100, "Encoder_1") == []


def test_damaged_values_are_marked() -> None:
    suspects = {(r["cycles"], r["detach"]) for r in printed_rows("table_s2") if "suspect" in r["note"]}
    assert ("40", "Encoder_6") in suspects
    assert suspects <= {("40", layer) for layer in layers()} | {("80", "Encoder_15"), ("80", "Encoder_16")}
    assert not any(layer in ("None", "Embedding") for _, layer in suspects)
