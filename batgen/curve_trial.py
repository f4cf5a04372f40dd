"""A trial of a search over curve models: trained on training rows, judged on validation rows."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from batgen.build import build
from batgen.curve_part import new_model, prepare
from batgen.training.settings import Training
from batgen.trials import Report, refuse_untrained, scores_at

#: What a trial counts as it trains.
UNIT = "epochs"
#: The method of a model that its training minimises.
TRAINED_BY = "loss"


def monitor(conf: Mapping[str, Any]) -> str:
    """What `trial` reports after each validation."""
    return str(conf["trainer"]["monitor"])


def trial(conf: dict[str, Any], folder: Path, report: Report) -> dict[str, float]:
    """Train one model in `folder`; its validation scores in scaled space at the epoch that is best by `trainer.monitor`.

    Whatever `trainer.early_stopping` says, the validation rows are not trained on. The test rows end where the split is
    known. No resume checkpoint is written. Raises Pruned where `report` wants the training to end.
    """
    refuse_untrained(conf, TRAINED_BY)
    from batgen.training.fit import fit  # Lightning: seconds that a refusal need not wait for
    from batgen.training.watch import Watch

    data = prepare(conf, test=False)
    given: Training = build(conf["trainer"]).on(conf["device"])
    settings = replace(given, early_stopping="disjoint", save_every_s=math.inf)
    watch, optim = Watch(settings.monitor, report), conf["model"]["optim"]
    loggers = [
        build(node, folder=folder.parent, name=folder.name, config=conf) for node in (conf["logger"] or {}).values()
    ]
    extra = [*(build(node) for node in (conf["callbacks"] or {}).values()), watch]
    fresh, started = new_model(conf["model"], data.shape, conf["seed"]), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    model, facts = fit(fresh, data.rows, lambda p: build(optim, p), settings, conf["seed"], folder, loggers, extra)
    watch.raise_if_pruned()
    return {
        **scores_at(folder / "metrics.csv", "epoch", facts["best_epoch"]),
        "best_epoch": float(facts["best_epoch"]),
        "epochs": float(facts["epochs"]),
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "train_s": time.monotonic() - started,
    }
