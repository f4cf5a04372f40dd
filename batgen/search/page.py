"""search.md: the best trial, what mattered, all trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from batgen.search.words import number, short_values

CHOSEN = "on validation rows; no test row was looked at"


def to_markdown(content: Mapping[str, Any]) -> str:
    """The summary of a search for people."""
    counts = ", ".join(f"{n} {state}" for state, n in content["counts"].items())
    aims = ", ".join(f"{d} {o}" for o, d in zip(content["objectives"], content["directions"], strict=True))
    lines = [
        f"# Search {content['name']}",
        "",
        f"Model {content['model']}, data {content['data']}. {aims}. Sampler {content['sampler']}, pruner {content['pruner']}, "
        f"seed {content['seed']}. Trials: {counts}. Chosen {CHOSEN}.",
        "",
    ]
    best = content["best"]
    if best is None:
        lines += ["No trial was completed.", ""]
    else:
        measured = ", ".join(f"{o} {number(v)}" for o, v in zip(content["objectives"], best["values"], strict=True))
        lines += [f"## Best: trial {best['trial']}, {measured}", ""]
        if content["front"]:
            lines += [f"Of the trials on the front, the one that is best in {content['objectives'][0]}.", ""]
        lines += ["| parameter | value | searched |", "|---|---|---|"]
        lines += [f"| {k} | {number(v)} | {content['space'][k]['text']} |" for k, v in best["params"].items()]
        lines.append("")
    if content["front"]:
        on_front = [t for t in content["trials"] if t["number"] in content["front"]]
        lines += ["## Front: no other trial is better in all objectives", "", *_trial_table(content, on_front)]
    if content["importance"]:
        lines += [f"## Importance for {content['objectives'][0]} (fANOVA, complete trials)", ""]
        lines += ["| parameter | share |", "|---|---|"]
        lines += [f"| {key} | {share:.2f} |" for key, share in content["importance"].items()]
        complete = [t for t in content["trials"] if t["state"] == "complete"]
        some = any(key not in t["params"] for t in complete for key in content["space"])
        lines += ["", *(["Parameters that only some trials have are left out.", ""] if some else [])]
    lines += ["## All trials", ""]
    if content["counts"].get("pruned") and content["judged"] != content["objectives"][0]:
        lines += [f"Pruned by {content['judged']}: of these trials {content['objectives'][0]} is not known.", ""]
    lines += [*_trial_table(content, content["trials"])]
    return "\n".join(lines)


def _trial_table(content: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| trial | state | " + " | ".join(content["objectives"]) + " | seconds | parameters |"]
    lines.append("|---" * (4 + len(content["objectives"])) + "|")
    for t in trials:
        values = [number(v) for v in t["values"]] if t["values"] else [""] * len(content["objectives"])
        state = t["state"] if not t["error"] else f"{t['state']}: {t['error'].splitlines()[0]}".replace("|", "/")
        seconds = "" if t["seconds"] is None else f"{t['seconds']:.1f}"
        lines.append(f"| {t['number']} | {state} | {' | '.join(values)} | {seconds} | {short_values(t['params'])} |")
    return [*lines, ""]
