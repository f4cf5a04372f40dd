"""The page itself: what it says in which order, in one file that loads nothing."""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from batgen.files import replacing
from batgen.report.page.about import about_run, config_part, provenance_part
from batgen.report.page.checks import physics_plots
from batgen.report.page.losses import training_curves
from batgen.report.page.markup import Markup, el, html, plot, section
from batgen.report.page.proof import downstream_curves
from batgen.report.page.read import EvaluatedRun, all_rows, read_runs
from batgen.report.page.sets import PageData, page_data
from batgen.report.page.tables import metric_tables
from batgen.report.page.verdict import rival_of, verdict_box

_SCRIPTS = ("page.js", "curves.js", "plots.js", "start.js")
_HOW_TO_READ = (
    "A value is followed by its 95 % interval over test cells, or, of several seeds, by ± its standard deviation over them. "
    "Best of a line: bold. Floor: what a measured curve of another cell, near in condition, scores in place of a generated "
    "one; a generator that is worse than its floor is beaten by looking up a neighbour."
)


def write_report(runs: Sequence[Path], out: Path, title: str | None = None) -> Path:
    """Write the page of one evaluated run, or of several side by side, to `out`; returns it.

    Reads evaluation.json and, where there are any, evaluation.h5, run.json, config.yaml, training curves and
    downstream.json (of a run, or beside `out`). The page needs no network. Raises DataError for a folder that was not
    evaluated, for a damaged file, and where `out` cannot be written.
    """
    found = read_runs([Path(run) for run in runs])
    name = title or (f"{found[0].name} on {found[0].about.get('data', '')}" if len(found) == 1 else "Comparison")
    text = page_text(found, name, [*(run.folder for run in found), Path(out).parent])
    with replacing(Path(out)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(out)


def page_text(runs: Sequence[EvaluatedRun], title: str, folders: Sequence[Path]) -> str:
    """The HTML of the page. `folders`: where a downstream.json may lie."""
    rows = all_rows(runs)
    drawn = page_data(runs)
    for one in drawn.sets:
        one["rival"] = rival_of(rows, one["about"])
    data = {
        "sets": drawn.sets, "physics": physics_plots(rows), "downstream": downstream_curves(folders),
        "training": [curve for run in runs for curve in training_curves(run)],
    }  # fmt: skip
    parts = _parts(runs, rows, drawn, data)
    links = [el("a", key.capitalize(), href=f"#{key}") for key, _, body in parts if body]
    body = html(
        el("a", "Skip to the content", href="#main", class_="skip"),
        el("header", el("p", "batgen evaluation", class_="brand"), el("h1", title)),
        el("nav", *links, aria_label="contents"),
        el("main", *(section(key, label, part) for key, label, part in parts), id="main"),
        Markup("<noscript><p>The plots need JavaScript; the tables do not.</p></noscript>"),
    )
    return _document(title, body, data)


def _parts(
    runs: Sequence[EvaluatedRun], rows: Sequence[Any], drawn: PageData, data: dict[str, Any]
) -> list[tuple[str, str, Markup]]:
    sets = drawn.sets
    notes = [*drawn.notes, *(f"{run.name}: {note}" for run in runs for note in run.notes)]
    abouts = [about_run(run, own) for run, own in zip(runs, drawn.attributes, strict=True)]
    remarks = el("ul", *(el("li", note) for note in dict.fromkeys(notes)), class_="notes") if notes else Markup("")

    def have(kind: str) -> bool:
        return any(s[kind] for s in sets)

    downstream = [html(el("h3", entry["title"]), el("p", entry["sentence"]), plot("downstream", entry["title"], place))
                  for place, entry in enumerate(data["downstream"])]  # fmt: skip
    none = Markup("")
    return [
        ("about", "What was trained on what", html(*abouts, remarks)),
        ("verdict", "Verdict", verdict_box(rows)),
        ("curves", "Measured and generated curves", plot("overlay", "measured and generated curves") if sets else none),
        ("metrics", "Metrics", html(el("p", _HOW_TO_READ, class_="quiet"), metric_tables(rows)) if rows else none),
        ("sweeps", "Condition sweeps", plot("sweep", "generated curves over one condition") if have("sweeps") else none),
        ("physics", "Physics", plot("physics", "pass rates of physics checks") if data["physics"] else none),
        ("memorisation", "Memorisation",
         plot("memorisation", "distance to the nearest training curve") if have("memorisation") else none),
        ("calibration", "Calibration", plot("calibration", "calibration of draws") if have("calibration") else none),
        ("indicators", "Battery indicators",
         plot("indicator", "indicators of measured and generated curves") if have("indicators") else none),
        ("training", "Training", plot("training", "training curves") if data["training"] else none),
        ("downstream", "Downstream proof", html(*downstream)),
        ("config", "Config", html(*(config_part(run) for run in runs))),
        ("provenance", "Provenance", html(*(provenance_part(run) for run in runs))),
    ]  # fmt: skip


def _document(title: str, body: Markup, data: dict[str, Any]) -> str:
    """Scripts are allowed by their hashes and nothing else is: no request, no script out of a file that was read."""
    folder = files("batgen.report.page")
    own = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    scripts = [_safe(get_plotlyjs()), _safe(own)]
    allowed = " ".join(f"'sha256-{_sha256(text)}'" for text in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"
    )
    numbers = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    head = el(
        "head",
        Markup('<meta charset="utf-8">'),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        el("title", title),
        Markup(f"<style>{(folder / 'style.css').read_text(encoding='utf-8')}</style>"),
    )
    tail = f'<script type="application/json" id="data">{numbers}</script>'
    tail += "".join(f"<script>{text}</script>" for text in scripts)
    return f'<!DOCTYPE html>\n<html lang="en">{head}<body>{body}{tail}</body></html>\n'


def _safe(script: str) -> str:
    """A script whose text cannot end its element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
