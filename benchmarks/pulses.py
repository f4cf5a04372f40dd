"""One case of the pulse study, from training rows to a trained model: ours against the published network in a plain loop.

The usual way is `variant=paper` under an ordinary DataLoader, 50 epochs of batches of 32. Measured cells where
BATGEN_DATA_DIR has them, else the embedded pulse rows; both ways in turn on the same rows, the median of three.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

ROUNDS = 3


def run() -> Iterator[tuple[str, float, float, float]]:
    """(what, our seconds, usual seconds, usual / ours) for `film` and `tokens`."""
    usual = _job("paper")
    for variant in ("film", "tokens"):
        ours = _job(variant)
        seconds: dict[str, list[float]] = {"ours": [], "usual": []}
        for _ in range(ROUNDS):
            seconds["ours"].append(_timed(ours))
            seconds["usual"].append(_timed(usual))
        mine, theirs = statistics.median(seconds["ours"]), statistics.median(seconds["usual"])
        yield f"pulse case 0, variant={variant}: seconds to a trained model", mine, theirs, theirs / mine


def _timed(job: Callable[[], None]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _job(variant: str) -> Callable[[], None]:
    from batgen import cli, config, overrides
    from batgen.build import build
    from batgen.pulse_part import fitted_rows, new_model, pulse_table
    from batgen.training.ensemble import Member, train_ensemble

    data = ["data=pulse"] if os.environ.get("BATGEN_DATA_DIR") else ["data=sim"]
    words = ["model=cross_attention_cvae", f"model.variant={variant}", *data]
    conf = config.resolved(overrides.compose(words, cli.CONF), "paper", 0)
    table = pulse_table(conf)[1]
    train = build(conf["split"]).members(table, 0)[0].train
    preprocessing, conditions, rows = fitted_rows(conf, table, train)
    settings = build(conf["trainer"]).on("cpu")

    def fresh() -> Any:
        return new_model(conf["model"], preprocessing, conditions, rows, 0)

    def side_by_side() -> None:
        train_ensemble([Member(fresh(), rows, 0)], settings, lambda p: build(conf["model"]["optim"], p))

    return (lambda: _plain_loop(fresh(), rows, settings)) if variant == "paper" else side_by_side


def _plain_loop(model: Any, rows: Any, settings: Any) -> None:
    from batgen.models.base import MaskedBatch

    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(rows.x, rows.cond), batch_size=settings.batch_size, shuffle=True)
    for _ in range(settings.epochs):
        for x, cond in loader:
            loss = model.loss(MaskedBatch(x, cond, torch.ones(len(x))), torch.randn(len(x), model.noise_size))["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
