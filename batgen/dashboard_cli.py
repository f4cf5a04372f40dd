"""The words of scripts/dashboard.py: a W&B workspace written as JSON, and pushed where that is asked for."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from batgen.build import signature
from batgen.errors import ConfigError, DataError
from batgen.files import write_json
from batgen.report.dashboard import Ablation, Contents, Search, SearchAxis, as_json, from_json, workspace
from batgen.words import key_values

USAGE = """python scripts/dashboard.py [project=batgen] [entity=NAME] [group=NAME] [collected=DIR] [out=FILE.json] [--push]

Builds the W&B workspace of a project: training curves by model, metrics against baselines, ablations, searches, generated
samples. Writes it as JSON (default outputs/dashboard.json), without network or key.
--push: sends it to W&B (needs `wandb login` and a network) and prints its address; done again from the same file, it replaces
what it sent before. entity: whose project; by default that of the file, and with --push the one that the key belongs to.
group: of one sweep only, the group of its runs; by default in outputs/dashboard_NAME.json, beside the one of all runs.
collected: what scripts/collect.py wrote; its heatmaps and its table become a W&B run of the project, offline in DIR/wandb or,
with --push, online."""
OWN = ("project", "entity", "group", "collected", "out")
#: What a search or an ablation says of a value that only Hydra can look up.
_LOOKED_UP = "${"


def main(argv: Sequence[str], conf: Path, home: Path) -> None:
    """Build, write and perhaps push. Raises ConfigError for bad words, and where W&B cannot be reached."""
    if any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    push = "--push" in argv
    words = key_values([a for a in argv if a != "--push"], OWN, "project=batgen")
    for key, value in words.items():
        if not value:
            raise ConfigError(f"{key}=: is empty. Give a value, or leave it out.")
    project, entity, group = words.get("project", "batgen"), words.get("entity", ""), words.get("group")
    name = "dashboard.json" if group is None else f"dashboard_{group.replace('/', '_')}.json"
    out = Path(words.get("out") or home / "outputs" / name).expanduser().resolve()
    collected = Path(words["collected"]).expanduser().resolve() if "collected" in words else None

    from batgen import dashboard_push
    from batgen.console import console
    from batgen.training.wandb_online import check_online

    dashboard_push.import_workspaces()
    old = _written_before(out)
    if not entity and old is not None and old["project"] == project:
        entity = str(old["entity"])
    if push:
        check_online(f"Without --push the dashboard is written to {out.name} and nothing is sent.")
        entity = entity or dashboard_push.own_entity()
    say, images = console(), dashboard_push.heatmaps(collected) if collected is not None else {}
    contents = Contents(group, list(searches(conf)), list(ablations(conf)), tuple(images))
    made = workspace(project, entity, contents)
    if old is not None and (old["project"], old["entity"], old["displayName"]) == (project, entity, made.name):
        made._internal_name, made._internal_id = old["name"], old["id"]  # as W&B named it when it was last pushed
    if collected is not None:
        where = dashboard_push.publish_collected(collected, images, project, entity, group, push)
        say.print(f"{len(images)} images of {collected.name}: {where}", markup=False)
    if push:
        say.print(f"dashboard: {dashboard_push.save(made)}", markup=False)
    write_json(out, as_json(made))
    say.print(f"written: {out}" + ("" if push else "; --push sends it to W&B"), markup=False)


def searches(conf: Path) -> Iterator[Search]:
    """What conf/search/*.yaml search, in order of name. An objective that follows the trainer's monitor is val/crps."""
    from batgen.search.space import parse_space

    for path in sorted((conf / "search").glob("*.yaml")):
        node = _node(path, "search")
        objective = next((str(o) for o in node.get("objectives") or [] if _LOOKED_UP not in str(o)), "val/crps")
        axes = tuple(SearchAxis(p.key, p.log) for p in parse_space(node["space"]))
        yield Search(path.stem, objective, axes)


def ablations(conf: Path) -> Iterator[Ablation]:
    """What conf/ablation/*.yaml vary, by axes or case by case, in order of name."""
    for path in sorted((conf / "ablation").glob("*.yaml")):
        node = _node(path, "ablation")
        varied = [node.get("axes") or {}, *(node.get("cases") or {}).values()]
        yield Ablation(
            path.stem, _family(path, conf), tuple(dict.fromkeys(k for one in varied for k in _leaves(one, "")))
        )


def _family(path: Path, conf: Path) -> str:
    """The kind of data of the model that the file at `path` chooses; of conf/train.yaml's model where it chooses none."""
    chosen = [
        str(one[key])
        for file in (path, conf / "train.yaml")
        for one in _content(file).get("defaults") or []
        if not isinstance(one, str)
        for key in one
        if str(key).removeprefix("override ").strip("/") == "model"
    ]
    target = _content(conf / "model" / f"{chosen[0]}.yaml")["_target_"]
    return str(signature(target).constants["ACCEPTS"][0])


def _node(path: Path, name: str) -> dict[str, Any]:
    return dict(_content(path)[name])


def _content(path: Path) -> dict[str, Any]:
    """As it is written: what it looks up elsewhere stays a word."""
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _leaves(node: dict[str, Any], path: str) -> Iterator[str]:
    for name, child in node.items():
        key = f"{path}.{name}" if path else str(name)
        yield from _leaves(child, key) if isinstance(child, dict) else [key]


def _written_before(out: Path) -> dict[str, Any] | None:
    """The workspace in `out`; None where there is no file. Raises DataError where the file is something else."""
    if not out.is_file():
        return None
    try:
        return as_json(from_json(json.loads(out.read_text(encoding="utf-8"))))
    except (ValueError, LookupError, AttributeError) as error:
        raise DataError(
            f"{out}: exists, and is no dashboard of this program ({type(error).__name__}). Give another out=FILE.json."
        ) from None
