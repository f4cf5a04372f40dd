"""What a search leaves in its folder: trials.csv, search.json, search.md, best.yaml and figures."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from batgen.best import write_best
from batgen.files import replacing, write_json
from batgen.report.figures.search import draw_history, draw_importance, draw_parallel
from batgen.report.figures.style import save
from batgen.search.page import CHOSEN, to_markdown
from batgen.search.samplers import ERROR, REPEATS, WITHDRAWN
from batgen.search.settings import SearchSettings
from batgen.search.shared import finished
from batgen.search.space import Parameter
from batgen.search.standing import best_of, front

if TYPE_CHECKING:
    from optuna import Study


def summary(
    settings: SearchSettings, space: Sequence[Parameter], study: "Study", about: Mapping[str, str], judged: str | None
) -> dict[str, Any]:
    """All that search.json holds, as plain containers. about: data and model of the search; judged: the score that
    trials report and are pruned by."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(ERROR) != WITHDRAWN]
    counts = {state.name.lower(): sum(t.state is state for t in trials) for state in TrialState}
    best = best_of(study)
    return {
        "name": settings.name,
        **about,
        "objectives": list(settings.objectives),
        "directions": settings.senses(),
        "sampler": settings.sampler,
        "pruner": settings.pruner if len(settings.objectives) == 1 else "none",
        "judged": judged,
        "seed": settings.seed,
        "finished": len(finished(trials)),
        "counts": {state: n for state, n in counts.items() if n},
        "chosen": CHOSEN,
        "best": None if best is None else {"trial": best.number, "values": list(best.values), "params": best.params},
        "front": [t.number for t in front(study)] if len(settings.objectives) > 1 else None,
        "importance": _importance(study),
        "space": {
            p.key: {"text": p.text(), "log": p.log, "choices": None if p.choices is None else list(p.choices)}
            for p in space
        },
        "trials": [_row(t, judged == settings.objectives[0]) for t in trials],
    }


def write_results(folder: Path, content: Mapping[str, Any], choices: Mapping[str, str]) -> list[Path]:
    """Write the files of a search from its summary; the paths, best.yaml first. choices: config groups for best.yaml."""
    best, objectives = content["best"], content["objectives"]
    paths = []
    if best is not None:
        about = {
            "search": content["name"],
            "data": content["data"],
            "trial": best["trial"],
            "trials": content["finished"],
            **dict(zip(objectives, best["values"], strict=True)),
            "chosen": CHOSEN,
        }
        write_best(folder / "best.yaml", choices, best["params"], about)
        paths.append(folder / "best.yaml")
    _write_csv(folder / "trials.csv", content)
    with replacing(folder / "search.md") as temporary:
        temporary.write_text(to_markdown(content), encoding="utf-8")
    drawn = {"history": draw_history, "importance": draw_importance, "parallel": draw_parallel}
    figures = {name: draw(content) for name, draw in drawn.items()}
    made = [save(figure, folder / "figures" / f"{name}.png") for name, figure in figures.items() if figure is not None]
    write_json(folder / "search.json", content)  # last: what has it is whole
    return [*paths, folder / "trials.csv", folder / "search.md", *made]


def _row(t: FrozenTrial, reported: bool) -> dict[str, Any]:
    """One trial. `values` of a pruned one: what it reported last, where that is the objective (`reported`)."""
    return {
        "number": t.number,
        "state": t.state.name.lower(),
        "values": list(t.values) if t.values and (reported or t.state is TrialState.COMPLETE) else None,
        "params": dict(t.params),
        "seconds": t.user_attrs.get("seconds"),
        "epochs": t.user_attrs.get("epochs"),
        "steps": t.user_attrs.get("steps"),
        "error": t.user_attrs.get(ERROR),
        "repeats": t.user_attrs.get(REPEATS),
    }


def _importance(study: "Study") -> dict[str, float] | None:
    """Share of the first objective's variance that each parameter explains (fANOVA, Hutter et al. 2014); None where the
    complete trials are too few, or all alike."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < 4 or len({t.values[0] for t in complete}) < 2:
        return None
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda t: t.values[0])
    return {key: float(share) for key, share in shares.items()} or None


def _write_csv(path: Path, content: Mapping[str, Any]) -> None:
    keys, told = list(content["space"]), ("seconds", "epochs", "steps", "error")
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "state", *content["objectives"], *keys, *told])
        for t in content["trials"]:
            values = t["values"] or [None] * len(content["objectives"])
            params = [t["params"].get(key) for key in keys]
            writer.writerow([t["number"], t["state"], *values, *params, *(t[key] for key in told)])
