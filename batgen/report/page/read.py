"""What the page reads of evaluated runs: evaluation.json, and beside it run.json and config.yaml where there are any."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batgen.errors import DataError
from batgen.report.page.same_curves import boards

Row = Mapping[str, Any]
#: What every row must say.
_COLUMNS = (
    "protocol",
    "split",
    "data",
    "test_set",
    "role",
    "method",
    "family",
    "metric",
    "signal",
    "value",
    "unit",
    "direction",
)


@dataclass(frozen=True)
class EvaluatedRun:
    """A folder that was evaluated. `name`: what the page calls its model, unique on the page.

    names: the same of each method of its own, by what evaluation.json calls it. board: what to call the measured curves it
    was judged on, where runs of the page differ in them.
    """

    folder: Path
    name: str
    rows: list[Row]
    about: dict[str, Any]
    notes: list[str]
    run: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    names: dict[str, str] = field(default_factory=dict)
    board: str = ""

    @property
    def parts(self) -> list[Path]:
        """The folders of its protocols and seeds, in order of their names."""
        found = [p.parent for p in self.folder.glob("*/splits.json")]
        return sorted(found)


def read_runs(folders: Sequence[Path]) -> list[EvaluatedRun]:
    """Read them all. Raises DataError for none, for a folder that was not evaluated, and for a damaged file."""
    if not folders:
        raise DataError("no run to report on. Give at least one folder with an evaluation.json.")
    read = [_evaluation(folder) for folder in folders]
    models = [str(content["about"].get("model", folder.name)) for folder, content in zip(folders, read, strict=True)]
    kinds = [(str(c["about"].get("data")), str(c["about"].get("family", "curves"))) for c in read]
    judged_on = boards(folders, kinds, models)
    runs = []
    for place, (folder, content) in enumerate(zip(folders, read, strict=True)):
        name = models[place]
        if models.count(name) > 1:
            name = f"{name} ({folder.name}, run {place + 1})" if _same(folders, folder) else f"{name} ({folder.name})"
        run = _json(folder / "run.json") if (folder / "run.json").exists() else {}
        path = folder / "config.yaml"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        own = list(dict.fromkeys(str(row["method"]) for row in content["rows"] if row.get("role") == "model"))
        names = {method: name if len(own) == 1 else f"{name}: {method}" for method in own}
        kind = content["about"].get("family", "curves")
        rows: list[Row] = [
            {
                **row,
                "kind": kind,
                "board": judged_on[place],
                "method": names[str(row["method"])] if row.get("role") == "model" else row["method"],
            }
            for row in content["rows"]
        ]
        runs.append(
            EvaluatedRun(
                folder, name, rows, content["about"], content.get("notes", []), run, text, names, judged_on[place]
            )
        )
    return runs


def all_rows(runs: Sequence[EvaluatedRun]) -> list[Row]:
    """Rows of all runs. A baseline that several runs have for one test is taken from the first of them."""
    owner: dict[tuple[Any, ...], int] = {}
    kept = []
    for place, run in enumerate(runs):
        for row in run.rows:
            if row.get("role") != "model":
                key = tuple(row.get(k) for k in ("data", "kind", "board", "protocol", "split", "test_set", "method"))
                if owner.setdefault(key, place) != place:
                    continue
            kept.append(row)
    return sorted(kept, key=lambda row: row.get("protocol") != "honest")  # honest first: it is what counts


def _same(folders: Sequence[Path], folder: Path) -> bool:
    return sum(f.name == folder.name for f in folders) > 1


def _evaluation(folder: Path) -> dict[str, Any]:
    path = folder / "evaluation.json"
    if not path.exists():
        raise DataError(f"{folder}: has no evaluation.json. Make it with: python scripts/evaluate.py run={folder}")
    content = _json(path)
    if not isinstance(content.get("rows"), list) or not isinstance(content.get("about"), dict):
        raise DataError(
            f"{path}: has no rows or does not say what it is about. Evaluate the run again with again=true."
        )
    for row in content["rows"]:
        if not isinstance(row, dict) or (missing := [c for c in _COLUMNS if c not in row]):
            lacks = missing[0] if isinstance(row, dict) else "columns"
            raise DataError(f"{path}: a row has no {lacks!r}. Evaluate the run again with again=true.")
    return content


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}). Evaluate the run again with again=true.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a JSON object. Evaluate the run again with again=true.")
    return content
