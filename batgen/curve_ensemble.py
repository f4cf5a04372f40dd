"""Curve models that are trained together (trainer=ensemble): the seeds of a run, or the jobs of a sweep."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from batgen.build import build, signature
from batgen.config import without
from batgen.curve_part import Prepared, new_model, prepare, save_trained
from batgen.errors import BatgenError, ConfigError
from batgen.files import replacing, write_json
from batgen.processes import use_cores
from batgen.training.stacked import StackedTraining

#: One protocol and seed of a run: its config, its folder.
Part = tuple[dict[str, Any], Path]
#: In the folder of a part: why it could not be trained, for its run to say.
NOTE = "not_trained.json"


def is_together(conf: Mapping[str, Any]) -> bool:
    """Whether this part's model is one of those that are trained all at once."""
    trained = "loss" in signature(conf["model"]["_target_"]).methods
    return trained and bool(signature(conf["trainer"]["_target_"]).constants.get("TOGETHER"))


def check(conf: Mapping[str, Any]) -> None:
    """Raise ConfigError for what cannot be trained together, though its trainer says so."""
    if not is_together(conf):
        return
    target, alone = str(conf["model"]["_target_"]), "Train one after another: trainer=cpu or trainer=gpu."
    if "STACK" not in signature(target).constants:
        raise ConfigError(f"trainer=ensemble: {target} cannot be trained many at once; rcvae can. {alone}")
    if (optim := conf["model"]["optim"]["_target_"]) != "batgen.training.optim.adamw":
        raise ConfigError(f"model.optim: {optim} cannot be stacked; trainer=ensemble knows AdamW. {alone}")
    if conf["callbacks"]:
        raise ConfigError(f"callbacks: trainer=ensemble uses no Lightning and calls none. {alone}")


def train_parts(parts: Sequence[Part], console: Console) -> None:
    """Train those parts that have no model yet, and leave model.ckpt and metrics.csv in their folders.

    A part that cannot be trained (its data are refused, its loss explodes) stops no other: it gets a note (`pop_reason`),
    and is not tried again as long as it has one. Data that several parts share are read once and held once.
    """
    todo = [
        p for p in parts if is_together(p[0]) and not (p[1] / "model.ckpt").is_file() and not (p[1] / NOTE).is_file()
    ]
    if not todo:
        return
    use_cores()
    data = _Data()
    groups: dict[str, list[tuple[Part, Prepared]]] = {}
    for part in todo:
        try:
            prepared = data.of(part)
        except BatgenError as error:
            _note(part, str(error))
        else:
            groups.setdefault(_shared(part[0], prepared), []).append((part, prepared))
    for group in groups.values():
        _train(group, console)


def pop_reason(folder: Path) -> str | None:
    """Why the part in this folder could not be trained; asked once, it may be tried again."""
    path = folder / NOTE
    if not path.is_file():
        return None
    reason = str(json.loads(path.read_text(encoding="utf-8"))["reason"])
    path.unlink()
    return reason


def _note(part: Part, reason: str) -> None:
    write_json(part[1] / NOTE, {"reason": reason})


class _Data:
    """Prepared data, each once: of one dataset, preprocessing, split, seed and number of cycles."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Prepared]] = {}

    def of(self, part: Part) -> Prepared:
        """The data of a part without its test rows. Its folder holds its split then: the one it held, or a new one."""
        conf, folder = part
        path = folder / "splits.json"
        required = signature(conf["model"]["_target_"]).constants.get("REQUIRES", ())
        about = [conf[name] for name in ("data", "preprocessing", "split", "seed", "cycles")]
        by_split = self._held.setdefault(json.dumps([about, required], sort_keys=True), {})
        if by_split and not path.is_file():
            with replacing(path) as temporary:
                temporary.write_text(next(iter(by_split)), encoding="utf-8")
        if not path.is_file() or path.read_text(encoding="utf-8") not in by_split:
            found = prepare(conf, path, test=False)
            found.curves = found.curves[:0].copy()  # as large again as what is trained on
            by_split[path.read_text(encoding="utf-8")] = found
        return by_split[path.read_text(encoding="utf-8")]


def _stack(conf: Mapping[str, Any]) -> dict[str, str]:
    return {"_target_": signature(conf["model"]["_target_"]).constants["STACK"]}


def _shared(conf: Mapping[str, Any], data: Prepared) -> str:
    """Models with the same answer are trained in one stack."""
    differ = signature(_stack(conf)["_target_"]).constants["DIFFER"]
    model, optim = conf["model"], without(conf["model"]["optim"], "lr", "weight_decay")
    # Without its embedding a model has other inputs; any other removed layer is a slot.
    kind = [without(model, "optim", *differ), model.get("remove") == "embedding", optim]
    return json.dumps(
        [kind, conf["trainer"], conf["device"], data.shape.x_shape, data.shape.cond_names], sort_keys=True
    )


def _train(group: Sequence[tuple[Part, Prepared]], console: Console) -> None:
    from batgen.training.stacked_fit import Member, fit_together  # Lightning's helpers: seconds

    conf, _ = group[0][0]
    settings: StackedTraining = build(conf["trainer"]).on(conf["device"])
    known = {folder: (own, data) for (own, folder), data in group}
    members = [
        Member(
            new_model(own["model"], data.shape, own["seed"]), data.rows, without(own["model"]["optim"], "_target_"),
            own["seed"], folder,
        )
        for folder, (own, data) in known.items()
    ]  # fmt: skip
    rows = sorted({len(data.rows["train"].x) for _, data in known.values()})
    console.print(
        f"training {len(members)} models together on {settings.device}, on "
        f"{rows[0] if len(rows) == 1 else f'{rows[0]} to {rows[-1]}'} curves",
        markup=False,
    )

    def done(member: Member, model: nn.Module, facts: dict[str, Any]) -> None:
        own, data = known[member.folder]
        save_trained(own, data, member.folder, model, facts)

    def failed(member: Member, reason: str) -> None:
        _note((known[member.folder][0], member.folder), reason)

    fit_together(members, lambda *found: build(_stack(conf), *found), settings, console, done, failed)
