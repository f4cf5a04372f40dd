"""Adversarial training: it learns a planted law, a kill costs nothing, steps are chosen on cells that were not trained on."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from batgen.models.base import ProfileBatch
from batgen.models.cgan import CGAN
from batgen.models.wgan_gp import WganGp
from batgen.training import adversarial
from batgen.training.adversarial import AdversarialModule, cell_weights
from tests.models.planted import drawn
from tests.models.planted_profiles import CENTRE, SCALE, rows, shape
from tests.training.adversarial_job import TRAIN, VAL, fit, weights, wgan


def error(model: Any, batch: ProfileBatch) -> float:
    """Mean distance of the mean draw from the law 3 degC per C at the end of the profile, degC."""
    rise = drawn(model, batch.cond, 16)[:, :, 0, -1].mean(0) * SCALE[0] + CENTRE[0]
    return float((rise - 3 * batch.cond[:, 2]).abs().mean())


def bigger(kind: type[CGAN | WganGp]) -> Any:
    def build(batch: ProfileBatch) -> CGAN | WganGp:
        torch.manual_seed(0)
        model = kind(shape(), noise=4, hidden=16)
        model.fit(*batch[:3])
        return model

    return build


@pytest.mark.parametrize(("kind", "steps", "lr"), [(CGAN, 300, 5e-3), (WganGp, 120, 2e-3)])
def test_it_learns_what_a_condition_does(tmp_path: Path, kind: type[CGAN | WganGp], steps: int, lr: float) -> None:
    """Rises of 1.5 to 7.5 degC: the mean draw follows the current, and a batch of other rows is within a degree or so."""
    train, unseen = rows(400, seed=0, cells=40), rows(60, seed=8)
    build = bigger(kind)
    model, _ = fit(
        tmp_path, train=train, job_options={"model": build, "lr": lr}, steps=steps, batch_size=64, validate_every=50,
        choose="last",
    )  # fmt: skip
    before, after = error(build(train).eval(), unseen), error(model, unseen)
    assert after < 0.4 * before
    rate = unseen.cond[:, 2]
    rise = drawn(model, unseen.cond, 16)[:, :, 0, -1].mean(0)
    assert torch.corrcoef(torch.stack([rate, rise]))[0, 1] > 0.95


class Killed(WganGp):
    """A model whose training is interrupted at a generator step, in the middle of an epoch."""

    left = 0

    def generator_loss(self, batch: ProfileBatch) -> tuple[Tensor, Tensor]:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().generator_loss(batch)


@pytest.mark.parametrize("choose", ["disjoint", "retrain", "last"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, choose: str) -> None:
    def killed(batch: ProfileBatch) -> WganGp:
        model = wgan(batch)
        model.__class__, model.left = Killed, 7  # type: ignore[attr-defined]
        return model

    whole, facts = fit(tmp_path / "whole", choose=choose)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", job_options={"model": killed}, choose=choose)
    (checkpoint,) = (tmp_path / "broken").glob("last_fold0_*.ckpt")
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 0
    calls: list[int] = []

    def counted(batch: ProfileBatch) -> WganGp:
        model = wgan(batch)
        average = model.average
        model.average = lambda: calls.append(1) or average()  # type: ignore[method-assign, func-returns-value]
        torch.manual_seed(99)
        return model

    again, found = fit(tmp_path / "broken", job_options={"model": counted}, choose=choose)
    left = 8 + (facts["steps"] if choose == "retrain" else 0)
    assert len(calls) == left, "the first four steps are not repeated"
    assert torch.equal(weights(whole), weights(again))
    assert facts == found
    names = ["health_fold0.csv"] + ["health_fold0_search.csv"] * (choose == "retrain")
    for name in names:
        ours, theirs = (pd.read_csv(tmp_path / folder / name) for folder in ("whole", "broken"))
        pd.testing.assert_frame_equal(ours, theirs)
    assert not list((tmp_path / "broken").glob("*.ckpt")), "resume checkpoints of finished stages go"


def test_a_training_killed_between_search_and_retraining_searches_no_more(tmp_path: Path) -> None:
    whole, facts = fit(tmp_path / "whole", choose="retrain")
    found = json.loads((tmp_path / "whole" / "search_fold0.json").read_text())
    assert found["chosen_step"] == facts["steps"] == facts["chosen_step"]
    sizes: list[int] = []

    def build(batch: ProfileBatch) -> WganGp:
        sizes.append(len(batch.x))
        return wgan(batch)

    again, _ = fit(tmp_path / "whole", choose="retrain", job_options={"model": build})
    assert sizes == [len(TRAIN.x) + len(VAL.x)]
    assert torch.equal(weights(whole), weights(again))


def trained_on(monkeypatch: pytest.MonkeyPatch, folder: Path, **options: Any) -> tuple[Any, dict[str, Any], set[int]]:
    """A fit, and the cells of all rows that entered a loss."""
    cells: set[int] = set()
    batches = AdversarialModule._batches

    def watched(self: AdversarialModule, count: int) -> Any:
        for batch in batches(self, count):
            cells.update(batch.cell.tolist())
            yield batch

    monkeypatch.setattr(AdversarialModule, "_batches", watched)
    return (*fit(folder, **options), cells)


def test_disjoint_keeps_the_best_step_and_trains_on_no_validation_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(adversarial, "validation_health", lambda *_: {"energy_score": next(scores)})
    model, facts, cells = trained_on(monkeypatch, tmp_path / "a", choose="disjoint")
    assert cells == set(range(6))
    assert (facts["chosen_step"], facts["best_score"], facts["steps"]) == (8, 1.0, 12)
    table = pd.read_csv(tmp_path / "a" / "health_fold0.csv")
    assert table["step"].tolist() == [2, 4, 6, 8, 10, 12]
    assert table.loc[table["chosen"] == 1, "step"].tolist() == [8]
    assert table["val_energy_score"].dropna().tolist() == [3.0, 1.0, 2.0]
    nothing = ProfileBatch(*(t[:0] for t in VAL))
    short, _ = fit(tmp_path / "b", choose="last", steps=8, val=nothing)
    assert torch.equal(weights(model), weights(short)), "the kept weights are those of a training that ends at step 8"


def test_retrain_uses_all_cells_for_the_steps_that_were_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(adversarial, "validation_health", lambda *_: {"energy_score": next(scores)})
    model, facts, cells = trained_on(monkeypatch, tmp_path / "a", choose="retrain")
    assert cells == set(range(8))
    assert (facts["steps"], facts["search"]["chosen_step"], facts["search"]["steps"]) == (8, 8, 12)
    last, _ = fit(tmp_path / "b", choose="last", steps=8)
    assert torch.equal(weights(model), weights(last))
    assert "val_energy_score" not in pd.read_csv(tmp_path / "a" / "health_fold0.csv")


def test_the_monitor_can_be_the_other_distance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([(3.0, 1.0), (1.0, 2.0), (2.0, 3.0)])

    def health(*_: Any) -> dict[str, float]:
        return dict(zip(("energy_score", "energy_distance"), next(values), strict=True))

    monkeypatch.setattr(adversarial, "validation_health", health)
    assert fit(tmp_path, monitor="val/energy_distance")[1]["chosen_step"] == 4


def test_steps_that_are_no_multiple_of_anything_are_all_taken(tmp_path: Path) -> None:
    seen: list[int] = []

    def build(batch: ProfileBatch) -> WganGp:
        model = wgan(batch)
        model.average = lambda: seen.append(1)  # type: ignore[method-assign]
        return model

    _, facts = fit(tmp_path, job_options={"model": build}, steps=11, validate_every=5, log_every=3)
    assert len(seen) == 11
    assert pd.read_csv(tmp_path / "health_fold0.csv")["step"].tolist() == [3, 5, 8, 10, 11]
    assert facts["chosen_step"] in (5, 10, 11)


def test_weights_of_cells() -> None:
    """Cells of 1 and 4 rows: alike rows, in between, alike cells."""
    cell = torch.tensor([7, 2, 2, 2, 2])
    assert cell_weights(cell, 0.0).tolist() == [1, 1, 1, 1, 1]
    assert cell_weights(cell, 0.5).tolist() == [1, 0.5, 0.5, 0.5, 0.5]
    assert cell_weights(cell, 1.0).tolist() == [1, 0.25, 0.25, 0.25, 0.25]
