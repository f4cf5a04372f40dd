from rich.console import Console

from batgen.data.describe import describe, rejected_lines, report
from batgen.data.store import open_store
from tests.data.fake_source import make_fake


def text(renderable) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_table_says_what_is_in_the_store(tmp_path):
    store = open_store(make_fake(tmp_path / "raw"), 7, progress=False)
    said = text(describe(store))
    for words in (
        "2: cell0, cell1",
        "14 cycles, 14 with a charge (cycles 1 to 7)",
        "10 to 30 cycles recorded",
        "1 cells, 21 cycles; censored: 1 (below 0.88 Ah)",
        "voltage_V",
        "30 degC",
        "2 rows",
        store.data_hash,
        store.path.name,
    ):
        assert words in said


def test_rejected_records_are_listed_and_counted(tmp_path):
    store = open_store(make_fake(tmp_path / "raw"), progress=False)
    assert rejected_lines(store) == ["cell0: record 0: formation", "cell1: record 0: formation"]
    store._meta["rejected"] = [["cell0", f"cycle {k}", "time_s runs backwards"] for k in range(9)]
    assert rejected_lines(store) == ["cell0: cycle 0, cycle 1, cycle 2 and 6 more: time_s runs backwards"]
    assert "6 more" in text(report(store))
