"""The training loop on a model small enough to know the answer."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from batgen.errors import BatgenError, ConfigError
from batgen.models.base import Batch
from batgen.training.datamodule import BLOCK, epoch_batches, epoch_seed
from batgen.training.fit import fit
from batgen.training.module import validation_scores
from batgen.training.optim import adamw
from batgen.training.settings import Training


class Offset(nn.Module):
    """Learns the mean of x; its best answer is known. `blow_up` makes the loss infinite from that step on."""

    def __init__(self, blow_up: int = -1):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2))
        self.blow_up, self.steps = blow_up, 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        self.steps += 1
        noise = 0.01 * torch.randn(len(batch.x), 2)
        loss = (batch.x + noise - self.mean).square().mean()
        return {"loss": loss * float("inf") if 0 <= self.blow_up < self.steps else loss}

    def reconstruct(self, x: Tensor, cond: Tensor, cell: Tensor) -> Tensor:
        return self.mean.expand_as(x)

    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        return self.mean + torch.randn(n, len(cond), 2, generator=generator)


def rows(n: int, centre: float) -> Batch:
    generator = torch.Generator().manual_seed(int(centre))
    return Batch(centre + 0.1 * torch.randn(n, 2, generator=generator), torch.zeros(n, 1), torch.arange(n) % 3)


def run(
    folder: Path, settings: Training, train: float = 1.0, val: float = 3.0, model: type[nn.Module] = Offset
) -> tuple:
    folder.mkdir(exist_ok=True)
    parts = {"train": rows(40, train), "val": rows(20, val)}
    return fit(lambda batch: model(), parts, lambda p: adamw(p, lr=0.05), settings, 0, folder, [], [])


BASE = {"batch_size": 16, "monitor": "val/mae"}


def test_every_row_once_an_epoch_in_an_order_of_its_own() -> None:
    one, two = epoch_batches(103, 10, epoch_seed(0, 0)), epoch_batches(103, 10, epoch_seed(0, 1))
    assert torch.equal(torch.cat(one).sort().values, torch.arange(103))
    assert not torch.equal(torch.cat(one), torch.cat(two))
    assert torch.equal(torch.cat(one), torch.cat(epoch_batches(103, 10, epoch_seed(0, 0))))


def test_it_learns_the_mean(tmp_path: Path) -> None:
    model, facts = run(tmp_path / "a", Training(max_epochs=150, patience=150, **BASE), train=1.0, val=1.0)
    assert model.mean.tolist() == pytest.approx(rows(40, 1.0).x.mean(0).tolist(), abs=0.05)
    assert facts["early_stopping"] == "disjoint"


def test_more_minibatches_than_a_block_are_all_taken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    parts = {"train": rows(3 * BLOCK + 5, 1.0), "val": rows(4, 1.0)}
    model, _ = fit(
        lambda b: Offset(), parts, lambda p: adamw(p), Training(max_epochs=1, batch_size=1), 0, tmp_path / "a", [], []
    )
    assert model.steps == 3 * BLOCK + 5 + 1  # and one validation batch


def test_early_stopping_waits_its_patience_and_keeps_the_best_weights(tmp_path: Path) -> None:
    # Training pulls towards 1, validation sits at 0: the first epoch is the best and everything after is worse.
    model, facts = run(tmp_path / "a", Training(max_epochs=100, patience=7, **BASE), train=1.0, val=0.0)
    assert facts["best_epoch"] == 0
    assert facts["epochs"] == 8
    first, _ = run(tmp_path / "b", Training(max_epochs=1, patience=7, **BASE), train=1.0, val=0.0)
    assert torch.equal(model.mean, first.mean)


def test_literal_early_stopping_trains_on_its_validation_rows_and_says_so(tmp_path: Path) -> None:
    settings = Training(max_epochs=200, patience=200, early_stopping="literal", **BASE)
    model, facts = run(tmp_path / "a", settings, train=1.0, val=4.0)
    merged = torch.cat([rows(40, 1.0).x, rows(20, 4.0).x]).mean()
    assert "leak" in facts
    assert float(model.mean.detach().mean()) > float(merged) - 0.2  # beyond what the 40 training rows alone could teach


def test_retraining_uses_all_rows_for_the_best_number_of_epochs(tmp_path: Path) -> None:
    settings = Training(max_epochs=60, patience=60, early_stopping="retrain", **BASE)
    model, facts = run(tmp_path / "a", settings, train=1.0, val=1.0)
    assert facts["epochs"] == facts["search"]["best_epoch"] + 1
    assert json.loads((tmp_path / "a" / "stage1.json").read_text())["best_epoch"] == facts["search"]["best_epoch"]
    assert (tmp_path / "a" / "metrics_search.csv").is_file()
    assert (tmp_path / "a" / "metrics.csv").is_file()
    del model


def test_resident_and_travelling_data_train_alike(tmp_path: Path) -> None:
    kinds = [run(tmp_path / str(r), Training(max_epochs=5, resident=r, **BASE))[0].mean for r in (True, False)]
    assert torch.equal(*kinds)


def test_same_seed_same_weights(tmp_path: Path) -> None:
    a, b = (run(tmp_path / name, Training(max_epochs=5, **BASE))[0].mean for name in "ab")
    assert torch.equal(a, b)


def test_a_loss_that_explodes_says_what_to_try(tmp_path: Path) -> None:
    class Exploding(Offset):
        def __init__(self) -> None:
            super().__init__(blow_up=5)

    with pytest.raises(BatgenError, match=r"no longer finite.*model\.optim\.lr.*gradient_clip"):
        run(tmp_path / "a", Training(max_epochs=20, **BASE), model=Exploding)


def test_gradient_clipping_reaches_the_optimiser(tmp_path: Path) -> None:
    free, _ = run(tmp_path / "a", Training(max_epochs=3, **BASE))
    clipped, _ = run(tmp_path / "b", Training(max_epochs=3, gradient_clip=1e-9, **BASE))
    assert float(clipped.mean.abs().max()) < float(free.mean.abs().max())


def test_validation_crps_matches_the_gaussian_closed_form() -> None:
    # CRPS of N(0, 1) at 0 is (sqrt(2) - 1) / sqrt(pi).
    torch.manual_seed(0)
    model = Offset()
    batch = Batch(torch.zeros(200, 2), torch.zeros(200, 1), torch.zeros(200, dtype=torch.int64))
    crps = float(validation_scores(model, batch, 400)["crps"])
    assert crps == pytest.approx((2**0.5 - 1) / torch.pi**0.5, abs=0.01)


@pytest.mark.parametrize(
    "keys", [{"early_stopping": "never"}, {"monitor": "val/rmse"}, {"max_epochs": 0}, {"batch_size": 0}]
)
def test_wrong_settings_name_the_key(keys: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(keys))}"):
        Training(**keys)  # type: ignore[arg-type]


def test_device_and_trainer_must_agree() -> None:
    assert Training().on(None).accelerator == "cpu"
    assert Training(accelerator="auto").on("cpu").accelerator == "cpu"
    with pytest.raises(ConfigError, match="device=cuda contradicts the trainer"):
        Training().on("cuda")


def test_resuming_from_the_epoch_that_ended_the_training_trains_no_more(tmp_path: Path) -> None:
    settings = Training(max_epochs=100, patience=7, save_every_s=0.0, **BASE)
    model, facts = run(tmp_path / "a", settings, train=1.0, val=0.0)
    assert (tmp_path / "a" / "last_train.ckpt").is_file()
    again, same = run(tmp_path / "a", settings, train=1.0, val=0.0)
    assert same["epochs"] == facts["epochs"] == 8
    assert torch.equal(model.mean, again.mean)


def test_validation_that_never_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.val_every=5"):
        run(tmp_path / "a", Training(max_epochs=2, val_every=5, **BASE))


def test_no_gpu_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="shows no GPU"):
        Training(accelerator="gpu").on(None)
