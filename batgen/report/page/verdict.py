"""The verdict: where a model beats the best baseline, where it does not, beyond the interval; computed, never flattering."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from batgen.report.evaluation_table import grouped, held_checks, number
from batgen.report.page.judging import Scored, best, compared, judged, scored
from batgen.report.page.markup import Markup, el, fold, html
from batgen.report.page.metric_words import METRICS, metric_name, signal_name, unit_name
from batgen.report.page.read import Row
from batgen.report.page.tables import methods_of

#: The questions, in this order; the first of a bracket that was measured is asked.
QUESTIONS = (("CRPS", "RMSE"), ("energy_score",), ("C2ST",), ("coverage_80",), ("membership_AUC",), ("recall",))
_SIGNS = {"better": "▲", "level": "=", "worse": "▼"}


def verdict_box(rows: Sequence[Row]) -> Markup:
    """A box a protocol and test set, the honest protocol first and open."""
    rows = [r for r in rows if r.get("family") != "rare"]
    tests = grouped(rows, "data", "kind", "test_set", "protocol", "split", "board")
    order = sorted(tests, key=lambda key: key[3] == "paper")
    parts = []
    for place, key in enumerate(order):
        data, _, test_set, protocol, split, board = key
        title = f"{protocol} protocol ({split} split), {data}: {test_set}" + (f" ({board})" if board else "")
        if protocol == "paper":
            title += ". A protocol for comparison with the paper, not a measure of new cells"
        body = _verdict(tests[key])
        if body:
            parts.append(fold(html(el("b", title)), body, opened=place == 0))
    return html(*parts)


def rival_of(rows: Sequence[Row], about: Mapping[str, str]) -> str:
    """The baseline with the best score of whole curves on the test that `about` tells; "" without any."""
    own = [r for r in rows if r["role"] != "model" and all(str(r.get(k)) == v for k, v in about.items())]
    for metric in ("energy_score", "RMSE"):
        found = [r for r in own if r["metric"] == metric and r.get("family") != "rare"]
        first = [r for r in found if r["signal"] == found[0]["signal"]]
        by_method = [scored(some) for some in grouped(first, "method").values()]
        if rival := best(metric, "lower", by_method):
            return rival.method
    return ""


def _verdict(rows: Sequence[Row]) -> Markup:
    methods = methods_of(rows)
    models = [m for m, role in methods if role == "model"]
    baselines = [m for m, role in methods if role != "model"]
    lines: list[Markup] = []
    found: dict[str, list[str]] = {m: [] for m in models}
    for question in QUESTIONS:
        metric = next((q for q in question if any(r["metric"] == q for r in rows)), None)
        if metric is None:
            continue
        for (_,), own in grouped([r for r in rows if r["metric"] == metric], "signal").items():
            lines.append(_line(metric, own, models, baselines, found))
    lines += _physics(rows, models, baselines)
    beside = ("against the baseline",) if baselines else ()
    rival = ["best baseline"] if baselines else []
    heads = ["score", *(text for m in models for text in (m, *beside)), *rival, "floor"]
    table = el(
        "table",
        el("thead", el("tr", *(el("th", h, scope="col") for h in heads))),
        el("tbody", *lines),
        class_="verdict many" if len(models) > 2 else "verdict",
    )
    said = [el("p", _sentence(m, found[m], bool(baselines)), class_="lead") for m in models]
    box = el("div", table, class_="scroll", tabindex="0", role="region", aria_label="verdict table")
    return html(*said, box) if lines else Markup("")


def _line(
    metric: str, rows: Sequence[Row], models: Sequence[str], baselines: Sequence[str], found: dict[str, list[str]]
) -> Markup:
    direction = str(rows[0]["direction"])
    by_method = {m: scored([r for r in rows if r["method"] == m]) for m, _ in methods_of(rows)}
    rival = best(metric, direction, [by_method[b] for b in baselines if b in by_method])
    cells = []
    for model in models:
        mine = by_method.get(model)
        word = compared(metric, direction, mine, rival) if mine and rival and judged(metric, direction) else ""
        if word:
            found[model].append(word)
        cells += [el("td", _value(mine), class_="model"), *([el("td", _chip(word))] if baselines else [])]
    floors = [float(r["floor"]) for r in rows if isinstance(r.get("floor"), int | float)]
    unit = unit_name(str(rows[0]["unit"]))
    name = f"{metric_name(metric)}, {signal_name(str(rows[0]['signal']))}" + (f" [{unit}]" if unit else "")
    if baselines:
        cells.append(el("td", _value(rival), el("small", f" {rival.method}" if rival else " none")))
    floor = el("td", number(fmean(floors)) if floors else "", class_="floor")
    return el("tr", el("th", name, scope="row", title=METRICS.get(metric, "")), *cells, floor)


def _value(one: Scored | None) -> Markup:
    if one is None:
        return el("span", "–")
    if one.failed:
        return el("span", "fails", class_="fails")
    span = ""
    if one.low is not None and one.high is not None:
        span = f" [{number(one.low)}, {number(one.high)}]"
    return html(el("span", number(one.value), class_="big"), el("small", span))


def _chip(word: str) -> Markup:
    return el("span", f"{_SIGNS[word]} {word}", class_=f"chip {word}") if word else Markup("")


def _physics(rows: Sequence[Row], models: Sequence[str], baselines: Sequence[str]) -> list[Markup]:
    """How many checks generated curves pass as often as measured ones; baselines that repeat measured curves pass all."""
    checks = {m: held_checks([r for r in rows if r["metric"] == "pass_rate" and r["method"] == m])
              for m in (*models, *baselines)}  # fmt: skip
    if not any(checks[m] for m in models):
        return []
    rivals = [b for b in baselines if checks[b]]
    rival = max(rivals, key=lambda b: int(checks[b].split()[0]), default="")
    free = [el("td")] if baselines else []
    cells = [td for m in models for td in (el("td", el("span", checks[m] or "–", class_="big"), class_="model"), *free)]
    if baselines:
        cells.append(el("td", el("span", checks.get(rival, "–"), class_="big"), el("small", f" {rival}")))
    head = el("th", "physics checks passed as often as by measured curves", scope="row")
    return [el("tr", head, *cells, el("td", "all", class_="floor"))]


def _sentence(model: str, words: Sequence[str], baselines: bool) -> str:
    if not baselines:
        return f"{model}: no baseline was scored in this evaluation, so nothing here says whether it is worth its training."
    if not words:
        return f"{model}: no interval allows a comparison with a baseline (too few test cells)."
    count = {word: words.count(word) for word in _SIGNS}
    of = len(words)
    said = (
        f"{model} is better than the best baseline in {count['better']} of {of} scores, level in {count['level']} and "
    )
    said += f"worse in {count['worse']}, where better and worse mean that the 95 % intervals do not meet."
    if count["better"] == 0:
        said += " It beats no baseline beyond doubt anywhere."
    elif count["worse"] > count["better"]:
        said += " On the whole the best baseline of each score is ahead."
    return said
