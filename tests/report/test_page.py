"""The page: what it says of runs whose truth is known, and what it refuses. How it looks: test_page_browser.py."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from batgen.errors import DataError
from batgen.report.page.markup import el, html
from batgen.report.page.packing import packed, plain
from batgen.report.page.page import write_report
from tests.report.evaluated_run import downstream_rows, evaluated_run


def text_of(page: Path) -> str:
    """The page without its scripts and styles."""
    return re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def data_of(page: Path) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return json.loads(found.group(1))


def unpacked(box: dict) -> np.ndarray:
    import base64

    codes = np.frombuffer(base64.b64decode(box["data"]), "<u2").reshape(-1, box["shape"][-1]).astype(float)
    ends = np.array(box["ends"]).reshape(-1, 2)
    return np.where(codes == 65535, np.nan, ends[:, :1] + codes * ends[:, 1:]).reshape(box["shape"])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = evaluated_run(tmp_path_factory.mktemp("run") / "one")
    (run / "downstream.json").write_text(json.dumps({"rows": downstream_rows(gain=0.01)}))
    return write_report([run], run / "report.html")


def test_page_says_what_was_trained_on_what(page: Path) -> None:
    text = text_of(page)
    assert "cvae generates curves of sim: voltage, current." in text
    assert "trained twice a protocol (seed 0, 1)" in text
    assert "1,234 parameters" in text
    assert "it is told eol, ecl" in text
    assert "Cells: 2 train, 1 test (4 curves). Judged on 60" in text  # honest: no cell on both sides
    assert "Cells: 2 train, 1 test (4 curves). 1 cell is on both sides" in text


def test_verdict_follows_the_numbers(page: Path) -> None:
    text = text_of(page)
    assert "better than the best baseline in 1 of 4 scores, level in 2 and worse in 1" in text
    lines = dict(re.findall(r'<tr><th scope="row"[^>]*>([^<]*)</th>.*?class="chip (\w+)"', text))
    assert lines["CRPS, Voltage [V]"] == "better"
    assert lines["C2ST, whole curve"] == "level"
    assert lines["membership AUC, whole curve"] == "worse"
    assert "0 of 1" in text  # half of the generated curves leave the voltage window, all measured ones stay in it


def test_tables_have_both_protocols_and_mark_the_best(page: Path) -> None:
    text = text_of(page)
    assert text.index("Protocol honest") < text.index("Protocol paper")
    assert re.search(r'<th scope="rowgroup" rowspan="2"><b>CRPS</b> Voltage \[V\]', text)
    assert re.search(r'<td class="model"><strong>0.0100<span class="hidden"> \(best\)</span></strong>', text)
    assert 'scope="col">knn</th>' in text
    assert "a remark" in text
    assert "hidden: 64" in text
    assert "ffffffffffffffff" in text


def test_downstream_sentence_says_whether_it_helps(page: Path, tmp_path: Path) -> None:
    assert "Synthetic curves help with 5 %, 20 % of the training cells" in text_of(page)
    run = evaluated_run(tmp_path / "none", sets=1)
    (tmp_path / "downstream.json").write_text(json.dumps({"rows": downstream_rows(gain=-0.01)}))
    assert "do not help at any share" in text_of(write_report([run], tmp_path / "beside.html"))


def test_plots_get_what_was_measured(page: Path) -> None:
    data = data_of(page)
    assert [s["about"]["protocol"] for s in data["sets"]] == ["honest", "paper"]
    one = data["sets"][0]
    assert one["rival"] == "knn"
    with h5py.File(page.parent / "evaluation.h5") as file:
        measured = file["sets/0/shown/measured"][()]
    shown = unpacked(one["measured"])
    np.testing.assert_allclose(shown, measured[one["places"]], atol=2e-5)
    assert np.isnan(shown[0, 0, -3:]).all()
    assert {i["label"] for i in one["indicators"]} == {"soh", "dqdv peak height Ah/V"}
    assert {m["role"] for m in one["memorisation"]} == {"floor", "model", "baseline"}
    assert data["training"][0]["quantity"] == "val/crps"  # what stopped training comes first
    assert data["physics"][0]["measured"] == [100.0]


def test_comparison_lays_runs_over_the_same_curves(tmp_path: Path) -> None:
    runs = [evaluated_run(tmp_path / "a"), evaluated_run(tmp_path / "b", model="gan", shift=0.1)]
    page = write_report(runs, tmp_path / "out" / "both.html", "Leaderboard: sim")
    one, other = data_of(page)["sets"]
    assert [m["name"] for m in one["models"]] == [m["name"] for m in other["models"]] == ["cvae", "gan"]
    assert [b["name"] for b in one["baselines"]] == ["knn"]
    text = text_of(page)
    heads = re.findall(r'<th scope="col">([^<]*)</th>', text[text.index('id="metrics"') :])
    assert heads[:7] == ["metric", "protocol", "cvae", "gan", "knn", "floor", "n"]
    assert "<title>Leaderboard: sim</title>" in text


def test_without_baselines_nothing_is_claimed(tmp_path: Path) -> None:
    run = evaluated_run(tmp_path / "run")
    content = json.loads((run / "evaluation.json").read_text())
    content["rows"] = [r for r in content["rows"] if r["role"] == "model"]
    (run / "evaluation.json").write_text(json.dumps(content))
    text = text_of(write_report([run], tmp_path / "p.html"))
    assert "no baseline was scored in this evaluation" in text
    assert 'class="chip' not in text


def test_two_runs_of_one_model_are_told_apart(tmp_path: Path) -> None:
    runs = [evaluated_run(tmp_path / "x" / "run"), evaluated_run(tmp_path / "y" / "run")]
    names = [m["name"] for m in data_of(write_report(runs, tmp_path / "p.html"))["sets"][0]["models"]]
    assert len(set(names)) == 2


def test_names_from_files_are_shown_and_not_run(tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="alert(1)"><!--'
    run = evaluated_run(tmp_path / "run", model=evil)
    (run / "config.yaml").write_text(f"name: {evil}")
    content = json.loads((run / "evaluation.json").read_text())
    content["rows"] = [{**r, "test_set": evil} for r in content["rows"]]
    content["notes"] = [evil]
    (run / "evaluation.json").write_text(json.dumps(content))
    page = write_report([run], tmp_path / "p.html", evil)
    whole = page.read_text(encoding="utf-8")
    assert "<img" not in re.sub(r"<script>.*?</script>", "", whole, flags=re.DOTALL)
    assert whole.count("</script>") == 3  # the data, plotly, the page's own


def test_page_loads_nothing(page: Path) -> None:
    whole = page.read_text(encoding="utf-8")
    assert "default-src &#x27;none&#x27;" in whole
    assert not re.search(r"<(?:link|img|iframe)\b", text_of(page))
    assert not re.search(r"<script[^>]*\bsrc=", whole[: whole.index("<body>")] + text_of(page))


def test_page_without_plots_still_has_its_tables(tmp_path: Path) -> None:
    run = evaluated_run(tmp_path / "run")
    for name in ("evaluation.h5", "run.json", "config.yaml"):
        (run / name).unlink()
    text = text_of(write_report([run], tmp_path / "p.html"))
    assert "no evaluation.h5" in text
    assert "<b>CRPS</b>" in text
    assert 'data-kind="overlay"' not in text


def test_bad_folders_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one"):
        write_report([], tmp_path / "p.html")
    with pytest.raises(DataError, match=r"no evaluation.json.*evaluate.py run="):
        write_report([tmp_path], tmp_path / "p.html")
    run = evaluated_run(tmp_path / "run")
    (run / "evaluation.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"evaluation.h5: cannot be read"):
        write_report([run], tmp_path / "p.html")
    (run / "evaluation.json").write_text('{"rows": [{"metric": "CRPS"}], "about": {}}')
    with pytest.raises(DataError, match="a row has no 'protocol'"):
        write_report([run], tmp_path / "p.html")
    (run / "evaluation.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        write_report([run], tmp_path / "p.html")
    assert not (tmp_path / "p.html").exists()


def test_markup_escapes_what_is_not_markup() -> None:
    assert el("td", "<b>", title='"') == '<td title="&quot;">&lt;b&gt;</td>'
    assert html(el("b", "x"), "&") == "<b>x</b>&amp;"


def test_packing_keeps_curves_to_a_step() -> None:
    values = np.array([[[0.0, 1.0, np.nan, -3.0]], [[2.0, 2.0, 2.0, 2.0]], [[np.nan] * 4], [[np.inf, 1.0, 2.0, 3.0]]])
    again = unpacked(packed(values))
    np.testing.assert_allclose(again, np.where(np.isinf(values), np.nan, values), atol=4 / 65534)
    assert plain([1.23456, float("nan"), float("inf")]) == [1.235, None, None]


def test_runs_judged_on_other_curves_share_no_line_and_no_baseline(tmp_path: Path) -> None:
    """Planted: the same test by name, other measured curves; there knn is better than the second model."""
    runs = [evaluated_run(tmp_path / "a"), evaluated_run(tmp_path / "b", model="gan")]
    with h5py.File(runs[1] / "evaluation.h5", "r+") as file:
        for one in file["sets"].values():
            one["shown/measured"][...] = 2 * one["shown/measured"][()]
    content = json.loads((runs[1] / "evaluation.json").read_text())
    for row in content["rows"]:
        if row["method"] == "knn" and row["metric"] == "CRPS":
            row.update(value=0.002, low=0.0015, high=0.0025)
    (runs[1] / "evaluation.json").write_text(json.dumps(content))
    text = text_of(write_report(runs, tmp_path / "p.html"))
    lines = re.findall(r'>CRPS, Voltage \[V\]</th>.*?class="chip (\w+)"', text)
    assert lines == ["better", "worse"] * 2  # honest and paper; the second model against its own knn
    assert "curves as gan has them" in text
    heads = re.findall(r'<th scope="col">([^<]*)</th>', text[text.index('id="metrics"') :])
    assert heads[:5] == ["metric", "protocol", "cvae", "knn", "floor"]
