"""The page in a real browser: it draws, asks the network for nothing, fits a telephone, is dark where asked, prints whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batgen.report.page.page import write_report
from tests.report.evaluated_run import downstream_rows, evaluated_run

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install -e .[dev])")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM} (Debian: apt install chromium)"
)
KINDS = {"overlay", "sweep", "physics", "memorisation", "calibration", "indicator", "training", "downstream"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    evil = "gan<img src=x onerror=alert(1)>"
    runs = [evaluated_run(folder / "a"), evaluated_run(folder / "b", model=evil, shift=0.05)]
    (folder / "downstream.json").write_text(json.dumps({"rows": downstream_rows(gain=0.01)}))
    return write_report(runs, folder / "p.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=args)
        yield found
        found.close()


def opened(browser: Any, page: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    """The page in a window of its own, drawn, and what went wrong: errors on the console, requests."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("dialog", lambda dialog: wrong.append("a dialog"))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
    tab.goto(page.as_uri())
    tab.wait_for_function("document.documentElement.dataset.drawn === 'yes'", timeout=20_000)
    return tab, wrong


def brightness(tab: Any, selector: str, what: str = "backgroundColor") -> float:
    script = "([s, w]) => getComputedStyle(document.querySelector(s))[w]"
    parts = tab.evaluate(script, [selector, what]).split("(")[1].rstrip(")").split(",")
    return sum(float(p) for p in parts[:3]) / 3


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_it_draws_everything_and_asks_for_nothing(browser: Any, page: Path, width: int, scheme: str) -> None:
    tab, wrong = opened(browser, page, width, scheme)
    script = "[...document.querySelectorAll('.figure')].map(f => [f.dataset.kind, f.querySelectorAll('.main-svg path').length])"
    drawn = dict(tab.evaluate(script))
    assert set(drawn) == KINDS
    assert all(drawn.values()), drawn
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    dark = scheme == "dark"
    assert (brightness(tab, "body") < 60) is dark
    assert (brightness(tab, ".plot .xtick text", "fill") > 150) is dark
    assert wrong == []
    tab.close()


def test_controls_change_the_curves(browser: Any, page: Path) -> None:
    tab, wrong = opened(browser, page, 1280, "light")
    path = "() => document.querySelector('#curves .scatterlayer path').getAttribute('d')"
    first = tab.evaluate(path)
    tab.get_by_label("next curve").press("Enter")  # by keyboard
    second = tab.evaluate(path)
    assert second != first
    lines = "() => document.querySelectorAll('#curves .plot:first-child .scatterlayer .trace').length"
    before = tab.evaluate(lines)
    tab.locator("#curves .switches button[aria-pressed=true]").last.click()
    assert tab.evaluate(lines) < before
    tab.locator("#curves select").last.select_option(index=2)
    assert tab.locator("#curves .plot").count() == 1
    tab.locator("#sweeps input[type=range]").fill("2")
    assert "outside what was trained on" in tab.locator("#sweeps output").inner_text()
    assert wrong == []
    tab.close()


def test_theme_and_paper_redraw_the_plots(browser: Any, page: Path) -> None:
    tab, wrong = opened(browser, page, 1280, "light")
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_timeout(100)
    assert brightness(tab, ".plot .xtick text", "fill") > 150
    tab.emulate_media(color_scheme="dark", media="print")
    tab.wait_for_timeout(100)
    assert tab.locator("details:not([open])").count() == 0
    assert brightness(tab, "body") > 200
    assert brightness(tab, ".plot .xtick text", "fill") < 100
    assert not tab.locator("nav").is_visible()
    tab.set_viewport_size({"width": 700, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 700
    tab.emulate_media(media="screen")
    tab.wait_for_timeout(100)
    assert tab.locator("details:not([open])").count() > 0
    assert wrong == []
    tab.close()


def test_the_guard_of_the_page_stops_scripts_and_requests(browser: Any, page: Path, tmp_path: Path) -> None:
    """Planted: a page into which someone got a script and an image from elsewhere."""
    planted = tmp_path / "planted.html"
    text = page.read_text(encoding="utf-8")
    planted.write_text(
        text.replace("<main", "<img src='http://localhost:9/x'><script>window.ran=1</script><main", 1), encoding="utf-8"
    )
    tab, wrong = opened(browser, planted, 1280, "light")
    assert tab.evaluate("window.ran") is None
    assert any("Content Security Policy" in message for message in wrong)
    tab.close()
