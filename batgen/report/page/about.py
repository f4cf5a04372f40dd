"""What was trained on what, in plain sentences; the config and where the results came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batgen.report.page.markup import Markup, el, fold, html
from batgen.report.page.metric_words import signal_name
from batgen.report.page.read import EvaluatedRun

_PROTOCOLS = {
    "paper": "as in the paper, for comparison with its numbers",
    "honest": "the honest one: what is tested was kept out of training, of the scalers and of early stopping",
}


def about_run(run: EvaluatedRun, sets: list[Mapping[str, Any]]) -> Markup:
    """A paragraph a run and one a protocol. `sets`: attributes of the test sets in its evaluation.h5."""
    about = run.about
    seeds = [str(s) for s in about.get("seeds", [])]
    start = f"{run.name} generates {about.get('family', 'curves')} of {about.get('data', 'unknown data')}"
    if sets:
        start += f": {', '.join(signal_name(s).lower() for s in json.loads(str(sets[0]['signals'])))}"
    said = [start + "."]
    if seeds:
        said.append(f"It was trained {_times(len(seeds))} a protocol (seed {', '.join(seeds)}).")
    sizes = {int(p["parameters"]) for p in run.run.get("parts", {}).values() if p.get("parameters")}
    if sizes:
        said.append(f"It has {' or '.join(f'{s:,}' for s in sorted(sizes))} parameters.")
    lines = [el("p", " ".join(said))]
    protocols = sorted(map(str, about.get("protocols", [])), key=lambda p: p == "paper")
    items = [_protocol(p, run, sets) for p in protocols]
    return html(*lines, el("ul", *[el("li", item) for item in items if item]))


def _protocol(protocol: str, run: EvaluatedRun, sets: list[Mapping[str, Any]]) -> Markup:
    own = [s for s in sets if str(s["protocol"]) == protocol]
    said = [f" ({_PROTOCOLS[protocol]}):"] if protocol in _PROTOCOLS else [":"]
    if own:
        told = [signal_name(name) for name in json.loads(str(own[0]["told"]))]
        said.append(f"split {own[0]['split']};")
        said.append(f"it is told {', '.join(told)}." if told else "it is told no condition.")
    said.append(_cells(run, protocol))
    for one in own:
        draws = f", {one['n_draws']} draws for each" if int(one["n_draws"]) else ""
        text = f"Judged on {one['n_real']} measured curves ({one['test_set']}){draws}"
        said.append(text + (f", beside {one['n_train']} training curves." if int(one["n_train"]) else "."))
    return html(el("b", f"Protocol {protocol}"), " ".join(s for s in said if s))


def _cells(run: EvaluatedRun, protocol: str) -> str:
    """How many cells are on each side, from the split of the first seed, and whether some are on both."""
    found = [p for p in run.parts if p.name.startswith(f"{protocol}-")]
    if not found:
        return ""
    sides = split_sides(found[0])
    if not sides:
        return ""
    counts = ", ".join(f"{len(cells)} {name}" for name, cells in sides.items())
    curves = sum(sum(rows.values()) for rows in sides.values())
    both = set(sides.get("train", {})) & set(sides.get("test", {}))
    text = f"Cells: {counts}" + (f" ({curves:,} curves)." if curves else ".")
    return text + (
        f" {len(both)} {'cell is' if len(both) == 1 else 'cells are'} on both sides, in training and in the test."
        if both
        else ""
    )


def split_sides(part: Path) -> dict[str, dict[str, int]]:
    """part ("train", "val", "test") -> cell -> number of its curves (0: not said), of the first fold; {} if unknown."""
    try:
        split = json.loads((part / "splits.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    folds = split.get("folds") or split.get("members") or [split]
    sides = folds[0].get("parts", folds[0]) if isinstance(folds[0], dict) else {}
    found = {}
    for name in ("train", "val", "test"):
        cells = sides.get(name)
        if isinstance(cells, dict):
            found[name] = {str(c): len(rows) if isinstance(rows, list) else 0 for c, rows in cells.items()}
        elif isinstance(cells, list):
            found[name] = dict.fromkeys(map(str, cells), 0)
    return found


def config_part(run: EvaluatedRun) -> Markup:
    """The whole config, folded."""
    return fold(f"config.yaml of {run.name}", el("pre", run.config, tabindex="0")) if run.config else Markup("")


def provenance_part(run: EvaluatedRun) -> Markup:
    """Commits, versions, data hash, times and device of the training and of the evaluation."""
    trained, judged = run.run, run.about.get("provenance", {})
    parts = list(trained.get("parts", {}).values())
    hashes = sorted({str(p["data_hash"])[:16] for p in parts if p.get("data_hash")})
    devices = sorted({str(p["training"]["device"]) for p in parts if p.get("training", {}).get("device")})
    lines = [
        ("folder", str(run.folder), ""),
        ("command", trained.get("command"), judged.get("command")),
        ("started", trained.get("started"), judged.get("started")),
        ("wall time", _seconds(trained.get("wall_s")), _seconds(run.about.get("wall_s"))),
        ("peak memory", _memory(trained.get("peak_memory_MiB")), _memory(run.about.get("peak_memory_MiB"))),
        ("device", ", ".join(devices), ""),
        ("data hash", ", ".join(hashes), ""),
        ("batgen", trained.get("batgen"), judged.get("batgen")),
        ("git commit", trained.get("git_commit"), judged.get("git_commit")),
        ("Python", trained.get("python"), judged.get("python")),
        ("platform", trained.get("platform"), judged.get("platform")),
        ("packages", _versions(trained.get("packages")), _versions(judged.get("packages"))),
        ("settings", "", _versions(run.about.get("settings"))),
    ]
    body = [el("tr", el("th", name, scope="row"), el("td", str(a or "")), el("td", str(b or ""))) for name, a, b in lines
            if a or b]  # fmt: skip
    head = el("tr", *(el("th", text, scope="col") for text in ("", "training", "evaluation")))
    table = el("table", el("thead", head), el("tbody", *body), class_="facts")
    box = el("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"provenance of {run.name}")
    return html(el("h3", run.name), box)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _seconds(value: Any) -> str:
    return f"{value:,.0f} s" if isinstance(value, int | float) else ""


def _memory(value: Any) -> str:
    return f"{value:,.0f} MiB" if isinstance(value, int | float) else ""


def _versions(found: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in found.items()) if isinstance(found, dict) else ""
