"""Training a forecaster on made lines: it learns, its best weights come back, a kill costs nothing, schedules are kept."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from batgen.errors import BatgenError, ConfigError
from batgen.models.seq2seq_quantile import Seq2SeqQuantile
from batgen.models.sequence_base import SequenceBatch, SequenceShape
from batgen.training import sequence_module
from batgen.training.fit_sequences import fit_sequences
from batgen.training.optim import adamw
from batgen.training.sequence_module import SequenceRows, StopEarly
from batgen.training.sequence_settings import SequenceTraining

SHAPE = SequenceShape(("a",), (), ("cycle",), (("slope", ("slope",)),), 1)
PAST, STEPS = 4, 8


def lines(slope: np.ndarray) -> SequenceBatch:
    """Straight lines that are flat up to the cut and fall by a slope, which the static says, after it."""
    count = len(slope)
    step = np.arange(1, STEPS + 1) / STEPS
    past = np.zeros((count, PAST, SHAPE.past_size))
    past[..., 1] = 1
    arrays = {
        "past": past,
        "statics": slope[:, None],
        "known": np.ones((count, 1)),
        "future": np.broadcast_to(step[:, None], (count, STEPS, 1)),
        "last": np.zeros((count, 1)),
        "target": (slope[:, None] * step)[..., None],
        "weight": np.ones((count, STEPS, 1)),
    }
    whole = {name: torch.tensor(np.array(x), dtype=torch.float32) for name, x in arrays.items()}
    return SequenceBatch(**whole, length=torch.full((count,), PAST), cell=torch.arange(count))


def draw(rng: np.random.Generator) -> SequenceBatch:
    return lines(rng.normal(0, 1, 12))


ROWS = SequenceRows(draw, lines(np.linspace(-1.5, 1.5, 7)))


def settings(**options: Any) -> SequenceTraining:
    return SequenceTraining(**({"epochs": 6, "folds": 1, "val_every": 2, "save_every_s": 0.0} | options))


def net(**options: Any) -> Seq2SeqQuantile:
    torch.manual_seed(0)
    return Seq2SeqQuantile(SHAPE, **({"hidden": 8, "heads": 2, "dropout": 0.1, "feedback": True} | options))


def fit(
    folder: Path, model: Seq2SeqQuantile, rows: SequenceRows = ROWS, lr: float = 0.02, **options: Any
) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return fit_sequences(model, rows, lambda p: adamw(p, lr, 0.01), settings(**options), 0, folder, "fold0", [])


def same(a: Seq2SeqQuantile, b: Seq2SeqQuantile) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("options", [{}, {"feedback": False, "block": 3}, {"arcana_compat": True, "window": 4}])
def test_it_learns_what_the_static_says(tmp_path: Path, options: dict[str, Any]) -> None:
    """Better than persistence, which is wrong by the slope, by a factor of two; intervals are there and tight."""
    model = net(**options)
    facts = fit(tmp_path, model, epochs=60, val_every=5)
    losses = [row["train/loss"] for row in facts["history"]]
    assert len(losses) == facts["epochs"] == 60
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    with torch.no_grad():
        quantiles = model.forecast(ROWS.val)
    error = (quantiles[..., 1] - ROWS.val.target).abs().mean()
    assert error < 0.5 * ROWS.val.target.abs().mean()


def test_one_epoch_changes_the_weights_and_writes_the_table(tmp_path: Path) -> None:
    model = net()
    facts = fit(tmp_path, model, epochs=1, val_every=20)
    assert not same(model, net())
    assert not model.training
    assert {"epochs": 1, "best_epoch": 0, "monitor": "val/loss", "device": "cpu"}.items() <= facts.items()
    with (tmp_path / "losses_fold0.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert float(rows[0]["val/loss"]) == pytest.approx(facts["best_score"])


def test_the_best_weights_come_back(tmp_path: Path) -> None:
    """A rate so high that it gets worse: what is left is what validated best, not what came last."""
    model = net(dropout=0.0)
    facts = fit(tmp_path, model, epochs=30, val_every=1, lr=0.5, lr_schedule="constant", curriculum={"start": 0.0})
    scores = [row["val/loss"] for row in facts["history"]]
    assert facts["best_score"] == min(scores)
    assert facts["best_epoch"] == int(np.argmin(scores))
    assert scores[-1] > 1.05 * min(scores)
    with torch.no_grad():
        assert model.loss(ROWS.val)["loss"].item() == pytest.approx(min(scores), rel=1e-5)


class Kill:
    """A `draw` that is interrupted when it is asked for the windows of a later epoch."""

    def __init__(self, calls: int):
        self.left = calls

    def __call__(self, rng: np.random.Generator) -> SequenceBatch:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return draw(rng)


@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, batch_size: int | None) -> None:
    """Dropout, windows, order and partial teacher forcing are drawn in every epoch, so each must be seeded by it."""
    unbroken, resumed = net(), net()
    facts = fit(tmp_path / "whole", unbroken, epochs=9, batch_size=batch_size)
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        fit(killed, resumed, SequenceRows(Kill(5), ROWS.val), epochs=9, batch_size=batch_size)
    assert (killed / "last_fold0.ckpt").is_file()
    torch.manual_seed(99)
    again = net()
    drawn: list[int] = []

    def counted(rng: np.random.Generator) -> SequenceBatch:
        drawn.append(1)
        return draw(rng)

    found = fit(killed, again, SequenceRows(counted, ROWS.val), epochs=9, batch_size=batch_size)
    assert len(drawn) == 6  # five epochs that were left, and one look at how many windows there are
    assert same(unbroken, again)
    for now, then in zip(found["history"], facts["history"], strict=True):
        names = set(now) if now["epoch"] % 2 else set(now) - {"val/loss"}  # repeated where nothing was validated
        assert {name: now[name] for name in names} == {name: then[name] for name in names}
    assert found["best_score"] == facts["best_score"]


def test_the_same_seed_gives_the_same_and_windows_are_drawn_anew(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    def watched(rng: np.random.Generator) -> SequenceBatch:
        drawn = draw(rng)
        seen.append(drawn.statics)
        return drawn

    first, second = net(), net()
    fit(tmp_path / "a", first, SequenceRows(watched, ROWS.val))
    epochs = seen[1:]
    assert len(epochs) == 6
    assert all(not torch.equal(a, b) for k, a in enumerate(epochs) for b in epochs[:k])
    fit(tmp_path / "b", second)
    assert same(first, second)


def test_a_loss_that_is_no_number_is_said(tmp_path: Path) -> None:
    broken = lines(np.array([1.0, float("nan")]))
    with pytest.raises(
        BatgenError, match=r"epoch 0: the training loss is no longer finite. Try a smaller model.optim.lr"
    ):
        fit(tmp_path, net(), SequenceRows(lambda _: broken, ROWS.val))
    with pytest.raises(ConfigError, match="no finite validation loss"):
        fit(tmp_path / "val", net(), SequenceRows(draw, broken))


def test_length_and_teacher_forcing_follow_the_curriculum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eqs. 7, 8: two segments of three epochs, half the steps and then all; the share falls from 0.9 towards 0.3 in each."""
    asked: list[tuple[float, int | None]] = []
    loss = Seq2SeqQuantile.loss

    def watched(self: Seq2SeqQuantile, batch: SequenceBatch, forcing: float = 0.0, steps: int | None = None) -> Any:
        if self.training:
            asked.append((forcing, steps))
        return loss(self, batch, forcing, steps)

    monkeypatch.setattr(Seq2SeqQuantile, "loss", watched)
    facts = fit(tmp_path, net(), curriculum={"segments": 2, "decay": 0.0, "start": 0.9, "end": 0.3})
    history = facts["history"]
    assert [row["length"] for row in history] == [4, 4, 4, 8, 8, 8] == [steps for _, steps in asked]
    assert [row["teacher_forcing"] for row in history] == pytest.approx([0.9, 0.7, 0.5] * 2)
    assert [ratio for ratio, _ in asked] == pytest.approx([0.9, 0.7, 0.5] * 2)


def test_the_rate_follows_its_schedule_by_epoch(tmp_path: Path) -> None:
    facts = fit(tmp_path, net(), lr=0.01, lr_schedule="linear_warmup", epochs=20, batch_size=5, val_every=20)
    assert [row["lr"] for row in facts["history"][:3]] == pytest.approx([0.005, 0.01, 0.01])


def test_gradients_are_clipped(tmp_path: Path) -> None:
    """With plain gradient descent at rate 1 a step is as long as the clipped gradient."""
    model, start = net(), net()
    fit_sequences(
        model, ROWS, lambda p: torch.optim.SGD(p, 1.0),
        settings(epochs=1, gradient_clip=0.01, lr_schedule="constant"), 0, tmp_path, "fold0", [],
    )  # fmt: skip
    moved = [float(((a - b) ** 2).sum().detach()) for a, b in zip(model.parameters(), start.parameters(), strict=True)]
    assert sum(moved) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_patience_counts_validations(tmp_path: Path) -> None:
    """A frozen network never improves: its first validation is its best, and two more are waited for."""
    model = net(dropout=0.0)
    facts = fit(tmp_path, model, lr=0.0, lr_schedule="constant", epochs=39, val_every=3, patience=2)
    assert facts["best_epoch"] == 2
    assert facts["epochs"] == 9


def test_gl_pq_stops_a_training_whose_validation_rises(tmp_path: Path) -> None:
    """Training windows say the opposite of the validation windows, so that learning makes the latter ever worse."""

    def opposite(rng: np.random.Generator) -> SequenceBatch:
        drawn = draw(rng)
        return drawn._replace(target=-drawn.target)

    rows = SequenceRows(opposite, ROWS.val)
    common = {"epochs": 40, "val_every": 1, "lr_schedule": "constant"}
    facts = fit(tmp_path / "stops", net(dropout=0.0), rows, gl_pq=0.01, trend=3, **common)
    assert facts["epochs"] < 30
    scores = [row["val/loss"] for row in facts["history"]]
    assert scores[-4] < scores[-3] < scores[-2] < scores[-1]
    assert fit(tmp_path / "not", net(dropout=0.0), rows, gl_pq=1e9, **common)["epochs"] == 40


def test_a_training_that_stopped_stays_stopped_when_resumed() -> None:
    rule = StopEarly(0.5, 3)
    rule.stopped = True
    rule.rule.update(1.0, 2.0)
    other = StopEarly(0.5, 3)
    other.load_state_dict(rule.state_dict())
    assert other.state_dict() == rule.state_dict()

    class Trainer:
        should_stop = False

    trainer = Trainer()
    other.on_train_start(trainer, None)  # type: ignore[arg-type]
    assert trainer.should_stop


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    model, start = net(), net()
    for parameter in model.encoder.parameters():
        parameter.requires_grad_(False)
    fit(tmp_path, model)
    assert all(torch.equal(a, b) for a, b in zip(model.encoder.parameters(), start.encoder.parameters(), strict=True))
    assert not torch.equal(model.decoder.head.linear.weight, start.decoder.head.linear.weight)  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, "trainer.epochs: 0"),
        ({"folds": 0}, "trainer.folds: 0"),
        ({"patience": 0}, "trainer.patience: 0"),
        ({"first_cut": 9, "last_cut": 5}, "trainer.last_cut=5 is below trainer.first_cut=9"),
        ({"curriculum": {"segmnts": 2}}, "trainer.curriculum.segmnts: unknown key"),
        ({"curriculum": {"start": 0.1, "end": 0.5}}, "teacher forcing can only fall"),
        ({"lr_schedule": "one_cycel"}, "one_cycel.*did you mean 'one_cycle'"),
        ({"accelerator": "tpu"}, "trainer.accelerator: 'tpu'"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SequenceTraining(**options)


@pytest.mark.parametrize(
    ("options", "observed", "wanted"),
    [
        ({}, 100, (20, 100)),
        ({}, 6, (2, 6)),
        ({}, 1, (1, 1)),
        ({"first_cut": 5}, 30, (5, 30)),
        ({"last_cut": 50}, 30, (10, 50)),
        ({"first_cut": 40}, 30, (30, 30)),
    ],
)
def test_where_training_cells_are_cut(options: dict[str, Any], observed: int, wanted: tuple[int, int]) -> None:
    assert SequenceTraining(**options).cuts(observed) == wanted


def test_the_root_knob_device_and_the_trainer_agree() -> None:
    assert SequenceTraining(accelerator="auto").on("cpu").accelerator == "cpu"
    with pytest.raises(ConfigError, match="device=cuda contradicts trainer.accelerator=cpu"):
        SequenceTraining().on("cuda")


def test_modules_of_an_epoch_are_seeded_by_it() -> None:
    seeds = {sequence_module.epoch_seed(0, epoch) for epoch in range(50)} | {sequence_module.epoch_seed(1, 0)}
    assert len(seeds) == 51


@pytest.mark.parametrize(
    ("epochs", "wanted", "used"), [(40, 20, 20), (50, 20, 10), (39, 3, 3), (40, 3, 2), (401, 20, 20), (5, 20, 5)]
)
def test_the_last_epoch_is_validated_where_a_near_interval_allows_it(epochs: int, wanted: int, used: int) -> None:
    assert settings(epochs=epochs, val_every=wanted).validated_every == used
