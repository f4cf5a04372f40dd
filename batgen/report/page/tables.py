"""Metric tables: a line a metric, signal and protocol, a column a method; paper protocol next to the honest one."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from batgen.report.evaluation_table import ARROWS, grouped, number
from batgen.report.page.judging import Scored, best, cost, scored
from batgen.report.page.markup import Markup, el, fold, html
from batgen.report.page.metric_words import ARROW_WORDS, FAMILIES, METRICS, metric_name, signal_name, unit_name
from batgen.report.page.read import Row

#: Families whose tables are open when the page is.
_OPEN = ("conditional",)


def methods_of(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """(method, role), models first, then baselines, in order of appearance."""
    found = dict.fromkeys((str(r["method"]), str(r["role"])) for r in rows)
    return sorted(found, key=lambda pair: pair[1] != "model")


def metric_tables(rows: Sequence[Row]) -> Markup:
    """A part a test set, a table a family in each."""
    parts = []
    tests = grouped(rows, "data", "kind", "test_set", "board")
    for place, ((data, kind, test_set, board), own) in enumerate(tests.items()):
        if len(tests) > 1:
            parts.append(el("h3", f"{data}, {kind}: {test_set}" + (f" ({board})" if board else "")))
        families = grouped(own, "family")
        for family in [(f,) for f in FAMILIES if (f,) in families] + [f for f in families if f[0] not in FAMILIES]:
            parts.append(_family(str(family[0]), families[family], place == 0 and family[0] in _OPEN))
    return html(*parts)


def _family(family: str, rows: Sequence[Row], opened: bool) -> Markup:
    name, question = FAMILIES.get(family, (metric_name(family), ""))
    methods = methods_of(rows)
    lines = []
    for (metric, _), own in grouped(rows, "metric", "signal").items():
        protocols = grouped(own, "protocol", "split")
        for place, ((protocol, split), some) in enumerate(sorted(protocols.items(), key=lambda item: str(item[0][0]))):
            head = [_heading(own[0], len(protocols))] if place == 0 else []
            label = el("td", html(str(protocol), Markup("<br>"), el("small", str(split))), class_="protocol")
            lines.append(el("tr", *head, label, *_cells(str(metric), some, methods), class_="" if place else "first"))
    heads = ["metric", "protocol", *(f"{m}" for m, _ in methods), "floor", "n"]
    columns = [el("th", text, scope="col") for text in heads]
    table = el("table", el("thead", el("tr", *columns)), el("tbody", *lines), class_="many" if len(heads) > 11 else "")
    said = [el("li", el("b", metric_name(str(m))), f": {METRICS[m]}") for m in dict.fromkeys(r["metric"] for r in rows)
            if m in METRICS]  # fmt: skip
    count = len(grouped(rows, "metric", "signal"))
    title = html(el("b", name), el("span", f" {question}", class_="quiet"), el("small", f" {count} numbers"))
    box = el("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"{name}: table of metrics")
    return fold(title, el("ul", *said, class_="words"), box, *_notes(rows), opened=opened)


def _heading(row: Row, lines: int) -> Markup:
    unit, signal = unit_name(str(row["unit"])), str(row["signal"])
    arrow = ARROWS.get(row["direction"], "")
    name = [el("b", metric_name(str(row["metric"])))] if row["metric"] != "pass_rate" else []
    shown = el("span", arrow, title=ARROW_WORDS.get(row["direction"], ""), class_="arrow") if arrow else ""
    words = f" {signal_name(signal)}" + (f" [{unit}]" if unit else "")
    return el("th", html(*name, words, " ", shown), scope="rowgroup", rowspan=str(lines))


def _cells(metric: str, rows: Sequence[Row], methods: Sequence[tuple[str, str]]) -> list[Markup]:
    by_method = {m: scored([r for r in rows if r["method"] == m]) for m, _ in methods_of(rows)}
    direction = str(rows[0]["direction"])
    first = best(metric, direction, list(by_method.values()))
    least = None if first is None else cost(metric, direction, first.value)
    tied = [s for s in by_method.values() if not s.failed and first and cost(metric, direction, s.value) == least]
    marked = {s.method for s in tied} if len(tied) < len(by_method) else set()
    cells = [value_cell(by_method.get(m), m in marked, role) for m, role in methods]
    floors = [float(r["floor"]) for r in rows if isinstance(r.get("floor"), int | float)]
    counts = [s.n for s in by_method.values() if s.n is not None]
    cells.append(el("td", number(fmean(floors)) if floors else "", class_="floor"))
    cells.append(el("td", str(max(counts)) if counts else "", class_="count"))
    return cells


def value_cell(one: Scored | None, marked: bool, role: str) -> Markup:
    """A value, and below it the spread over seeds or the 95 % interval of a single one; "fails" where it is not finite."""
    kind = "model" if role == "model" else "other"
    if one is None:
        return el("td", "", class_=kind)
    if one.failed:
        return el("td", el("span", "fails", class_="fails"), class_=kind)
    below = ""
    if one.sd is not None:
        below = f"± {number(one.sd)}"
    elif one.low is not None and one.high is not None:
        below = f"{number(one.low)} to {number(one.high)}"
    value = html(number(one.value), el("span", " (best)", class_="hidden")) if marked else number(one.value)
    return el("td", el("strong", value) if marked else el("span", value), el("small", below), class_=kind)


def _notes(rows: Sequence[Row]) -> list[Markup]:
    notes = dict.fromkeys(str(r["note"]) for r in rows if r.get("note"))
    return [el("p", f"Note: {note}", class_="quiet") for note in notes]
