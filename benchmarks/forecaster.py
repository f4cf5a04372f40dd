"""The forecaster against the recurrence that was published (`arcana_compat`): seconds a training step, and what a
saliency map costs in plain forecasts.

The step of the issue: hidden 64, two bidirectional layers, 16 windows of 60 input cycles, 200 decoded cycles, one thread. The
published window is as long as what was observed in the paper (24 cycles). All ways in turn, the median of three.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

ROUNDS = 3
_SIZE = {"hidden": 64, "layers": 2, "bidirectional": True}


def run() -> Iterator[tuple[str, float, float, float]]:
    """(what, our seconds, usual seconds, usual / ours); for growth and saliency, what stands in the name."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _steps()
        yield from _growth()
        yield from _saliency()
    finally:
        torch.set_num_threads(threads)


def _steps() -> Iterator[tuple[str, float, float, float]]:
    for attention in ("additive", "multihead"):
        ours = _model(attention=attention, **_SIZE)
        usual = _model(attention=attention, arcana_compat=True, window=24, residual=False, ordered=False, **_SIZE)
        batch = _batch(ours, 16, 60, 200)
        jobs = {
            "teacher-forced": lambda m=ours, b=batch: _step(m, b, 1.0),
            "free-running": lambda m=ours, b=batch: _step(m, b, 0.0),
            "usual": lambda m=usual, b=batch: _step(m, b, 0.0),
        }
        seconds = _in_turn(jobs)
        for name in ("teacher-forced", "free-running"):
            yield (
                f"training step, {attention}, {name}: s",
                seconds[name],
                seconds["usual"],
                seconds["usual"] / seconds[name],
            )


def _growth() -> Iterator[tuple[str, float, float, float]]:
    model = _model(attention="additive", **_SIZE)
    short, long = _batch(model, 16, 60, 200), _batch(model, 16, 60, 800)
    for name, forcing in (("teacher-forced", 1.0), ("free-running", 0.0)):
        seconds = _in_turn(
            {"200": lambda f=forcing: _step(model, short, f), "800": lambda f=forcing: _step(model, long, f)}
        )
        yield (
            f"{name}: s for 200 and 800 cycles (linear: 4)",
            seconds["200"],
            seconds["800"],
            seconds["800"] / seconds["200"],
        )


def _saliency() -> Iterator[tuple[str, float, float, float]]:
    from batgen.evaluation.saliency import saliency

    for name, feedback in (("with feedback", True), ("without", False)):
        model = _model(attention="multihead", feedback=feedback, **_SIZE).eval()
        batch = _batch(model, 1, 60, 80)
        seconds = _in_turn(
            {"map": lambda m=model, b=batch: saliency(m, b, 0, 80), "plain": lambda m=model, b=batch: _plain(m, b)}
        )
        what = f"saliency of 80 cycles x 3 quantiles, {name}: s a plain forecast, s a map (published: 167)"
        yield what, seconds["plain"], seconds["map"], seconds["map"] / seconds["plain"]


def _model(**options: Any) -> Any:
    from batgen.models.seq2seq_quantile import Seq2SeqQuantile
    from batgen.models.sequence_base import SequenceShape

    torch.manual_seed(0)
    return Seq2SeqQuantile(SequenceShape(("q",), (), ("cycle", "c_rate"), (), 1), **options)


def _batch(model: Any, windows: int, seen: int, ahead: int) -> Any:
    from batgen.models.sequence_base import SequenceBatch

    made = torch.Generator().manual_seed(0)
    sizes = {"past": (seen, model.shape.past_size), "future": (ahead, 2), "target": (ahead, 1)}
    drawn = {name: torch.randn(windows, *size, generator=made) for name, size in sizes.items()}
    return SequenceBatch(
        **drawn,
        length=torch.full((windows,), seen),
        statics=torch.zeros(windows, 0),
        known=torch.zeros(windows, 0),
        last=torch.zeros(windows, 1),
        weight=torch.ones(windows, ahead, 1),
        cell=torch.arange(windows),
    )


def _step(model: Any, batch: Any, teacher_forcing: float) -> None:
    model.loss(batch, teacher_forcing)["loss"].backward()


def _plain(model: Any, batch: Any) -> None:
    with torch.no_grad():
        model.forecast(batch)


def _in_turn(jobs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each job, all of them in turn in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
