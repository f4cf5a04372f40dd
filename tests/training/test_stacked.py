"""Models trained together become what each becomes alone."""

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import Batch, DataShape
from batgen.models.rcvae import RCVAE
from batgen.models.rcvae_stack import RCVAEStack
from batgen.training import stacked_fit
from batgen.training.datamodule import BLOCK
from batgen.training.fit import fit
from batgen.training.optim import adamw
from batgen.training.settings import Training
from batgen.training.stacked import StackedTraining
from batgen.training.stacked_fit import Member, fit_together
from batgen.training.stacked_task import Task
from batgen.training.stacked_weights import Stack, StackMember, fresh

SHAPE = DataShape((3, 4), ("voltage_V", "current_A", "temperature_degC"), ("eol", "ecl"))
SMALL = {"hidden": 8, "latent": 2, "embedding": 6, "layers": 4}
KEYS = {"max_epochs": 9, "batch_size": 3, "patience": 2, "monitor": "val/mae", "val_draws": 3}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """In double precision what is equal is equal to the last digits, and what is not shows."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(n: int, seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    cond = torch.stack([300 + torch.randint(5, (n,), generator=g), 1 + torch.randint(9, (n,), generator=g)], 1).double()
    level = (cond[:, :1] - 302.0) / 2.0 + cond[:, 1:] / 9.0
    noise = torch.randn(n, 3, 4, generator=g, dtype=torch.float64)
    return Batch(level[:, :, None] + 0.3 * noise, cond, torch.arange(n) % 3)


#: Two datasets of different sizes: of the larger, an epoch has more minibatches than a block.
DATA = [{"train": rows(29, 0), "val": rows(11, 1)}, {"train": rows(3 * BLOCK + 4, 2), "val": rows(8, 3)}]
#: seed, dataset, keys of the model and of AdamW, each different from the one before
MEMBERS = [
    (0, 0, {}, {"lr": 3e-2}),
    (1, 0, {"remove": "encoder_3", "beta": 0.01}, {"lr": 3e-2}),
    (2, 1, {"remove": "decoder_1", "beta": 0.1}, {"lr": 1e-2, "weight_decay": 0.2}),
    (3, 1, {"remove": "decoder_3"}, {"lr": 3e-2, "weight_decay": 0.2}),
    (0, 0, {"beta": 3.0}, {"lr": 5e-2}),
]


def maker(seed: int, keys: dict):
    def make(train: Batch) -> nn.Module:
        torch.manual_seed(seed)
        model = RCVAE(SHAPE, **{**SMALL, **keys})
        model.fit(*train)
        return model

    return make


def member(folder: Path, seed: int, data: int, keys: dict, optim: dict) -> Member:
    folder.mkdir(parents=True, exist_ok=True)
    return Member(maker(seed, keys), DATA[data], optim, seed, folder)


def together(members: list[Member], **keys) -> tuple[dict, dict]:
    """(folder name -> (model, facts), folder name -> reason)."""
    done: dict = {}
    failed: dict = {}
    settings = StackedTraining(accelerator="cpu", **{**KEYS, **keys})
    fit_together(
        members, RCVAEStack, settings, Console(quiet=True),
        lambda m, model, facts: done.__setitem__(m.folder.name, (model, facts)),
        lambda m, reason: failed.__setitem__(m.folder.name, reason),
    )  # fmt: skip
    return done, failed


def alone(folder: Path, seed: int, data: int, keys: dict, optim: dict, **settings) -> tuple:
    folder.mkdir(parents=True)
    own = Training(**{**KEYS, **settings})
    return fit(maker(seed, keys), DATA[data], lambda p: adamw(p, **optim), own, seed, folder, [], [])


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def assert_equal_tables(one: Path, other: Path) -> None:
    first, second = table(one), table(other)
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():  # Lightning keeps float32 of what it is told
            assert b[name] == value == "" or float(b[name]) == pytest.approx(float(value), rel=1e-6), name


def assert_equal_models(one: nn.Module, other: nn.Module) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-8, atol=1e-9, msg=name)


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("disjoint", {"val_every": 1}),
        ("retrain", {"val_every": 2, "gradient_clip": 0.5, "max_epochs": 6, "patience": 1}),
        ("literal", {"val_every": 1, "monitor": "val/crps"}),
    ],
)
def test_each_becomes_what_it_becomes_alone(tmp_path: Path, mode: str, keys: dict) -> None:
    keys = {"early_stopping": mode, **keys}
    # Three places for five: some wait, and are trained beside others that are ahead of them.
    done, failed = together([member(tmp_path / str(i), *m) for i, m in enumerate(MEMBERS)], at_once=3, **keys)
    assert not failed
    ends = set()
    for i, own in enumerate(MEMBERS):
        model, facts = alone(tmp_path / f"alone{i}", *own, **keys)
        found, told = done[str(i)]
        assert_equal_models(model, found)
        for name in ("metrics.csv", *(["metrics_search.csv"] if mode == "retrain" else [])):
            assert_equal_tables(tmp_path / f"alone{i}" / name, tmp_path / str(i) / name)
        assert told.pop("trained_together") == 5
        for one in (facts, told, facts.get("search", {}), told.get("search", {})):
            one["best_score"] = pytest.approx(one["best_score"], rel=1e-6) if one.get("best_score") else None
        assert told == facts
        ends.add(facts["epochs"])
    assert len(ends) > 1, "the members ended at different epochs"


@pytest.mark.parametrize("kind", ["none", "index", "raw"])
def test_without_embedding_they_have_a_stack_of_their_own(tmp_path: Path, kind: str) -> None:
    keys = {"remove": "embedding", "no_embedding": kind}
    group = [(i, data, keys, {"lr": 1e-2}) for i, data in enumerate((0, 1))]
    done, _ = together([member(tmp_path / str(m[0]), *m) for m in group], max_epochs=2)
    for own in group:
        assert_equal_models(alone(tmp_path / f"alone{own[0]}", *own, max_epochs=2)[0], done[str(own[0])][0])


def test_a_removed_layer_is_a_slot_that_nothing_moves(tmp_path: Path) -> None:
    models = [maker(seed, keys)(DATA[0]["train"]) for seed, keys in ((0, {}), (1, {"remove": "encoder_2"}))]
    stack = Stack([StackMember(m, fresh(m), {"weight_decay": 0.1}, 1) for m in models], RCVAEStack, torch.device("cpu"))
    slot = stack.now["encoder.encoder_2.weight"]
    before = slot.clone()
    batch = DATA[0]["train"]
    x, noise = torch.stack([batch.x] * 2), torch.randn(2, len(batch.x), 2)
    module = stack.cut(2)
    vector = module.told(torch.stack([m.placed(batch.cond) for m in models]))
    losses = module.row_losses(x, vector, module.encode(x, vector), noise)["loss"].mean(1)
    for model, loss, own in zip(models, losses, noise, strict=True):
        assert loss.item() == pytest.approx(model.loss(batch, own)["loss"].item(), rel=1e-12)
    stack.step(losses, None)
    assert not torch.equal(slot[0], before[0])
    assert torch.equal(slot[1], before[1])
    assert stack.weights(1).now.keys() == dict(models[1].named_parameters()).keys()


class Point(nn.Module):
    """A model that is its weights."""

    def __init__(self, at: Tensor) -> None:
        super().__init__()
        self.at = nn.Parameter(at.clone())


def test_steps_are_those_of_torch_adamw_for_each_with_its_own_keys() -> None:
    torch.manual_seed(0)
    keys = [{"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.01, "beta1": 0.5}, {"lr": 0.01, "beta1": 0.5}]
    points = [Point(torch.randn(3, 2)) for _ in keys]
    members = [StackMember(p, fresh(p), k, pace) for p, k, pace in zip(points, keys, (5, 5, 5, 2), strict=True)]
    stack = Stack(members, lambda _, weights: SimpleNamespace(**weights), torch.device("cpu"))
    target = torch.randn(4, 3, 2)
    own = [torch.optim.AdamW(p.parameters(), lr=k["lr"], weight_decay=k.get("weight_decay", 0.0),
                             betas=(k.get("beta1", 0.9), 0.999)) for p, k in zip(points, keys, strict=True)]  # fmt: skip
    for step in range(5):
        count = 4 if step < 2 else 3  # the last has two batches an epoch only
        stack.step((stack.cut(count).at - target[:count]).square().sum((1, 2)), clip=1.5)
        for point, optimiser, aim in list(zip(points, own, target, strict=True))[:count]:
            optimiser.zero_grad()
            (point.at - aim).square().sum().backward()
            nn.utils.clip_grad_norm_(point.parameters(), 1.5)
            optimiser.step()
    for place, point in enumerate(points):
        torch.testing.assert_close(stack.weights(place).now["at"], point.at.detach(), rtol=1e-12, atol=1e-14)
    assert [stack.weights(place).steps for place in range(4)] == [5, 5, 5, 2]


def test_it_goes_on_after_a_kill_whoever_is_beside_it_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, epochs = Task.record, []

    def killed(self: Task, *args) -> bool:
        epochs.append(self.epoch)
        if len(epochs) > 9:
            raise KeyboardInterrupt
        return record(self, *args)

    keys = {"max_epochs": 6, "patience": 6, "save_every_s": 0.0}
    monkeypatch.setattr(Task, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        together([member(tmp_path / str(i), *MEMBERS[i]) for i in range(3)], **keys)
    assert max(epochs) == 3
    again: list[int] = []
    monkeypatch.setattr(Task, "record", lambda self, *args: (again.append(self.epoch), record(self, *args))[1])
    done, _ = together([member(tmp_path / str(i), *MEMBERS[i]) for i in (0, 2, 3)], **keys)
    assert sorted(again) == sorted([*range(3, 6), *range(3, 6), *range(6)])
    for i in (0, 2, 3):
        assert_equal_models(alone(tmp_path / f"alone{i}", *MEMBERS[i], max_epochs=6, patience=6)[0], done[str(i)][0])
        assert_equal_tables(tmp_path / f"alone{i}" / "metrics.csv", tmp_path / str(i) / "metrics.csv")


def test_a_stack_shrinks_and_is_filled_up_when_half_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, build = [], Stack.__init__

    def built(self: Stack, members: list, *args) -> None:
        sizes.append(len(members))
        build(self, members, *args)

    monkeypatch.setattr(Stack, "__init__", built)
    ends = {"0": 2, "1": 2, "2": 5, "3": 5, "4": 5}  # epochs
    record = Task.record

    def ended(self: Task, *args) -> bool:
        better = record(self, *args)
        self.over = self.epoch >= ends[self.folder.name]
        return better

    monkeypatch.setattr(Task, "record", ended)
    done, _ = together([member(tmp_path / str(i), i, 0, {}, {}) for i in range(5)], at_once=4)
    # four at once; two end after two epochs and the fifth joins; the two end, and it is left alone
    assert sizes == [4, 3, 1]
    assert {name: facts["epochs"] for name, (_, facts) in done.items()} == ends
    monkeypatch.setattr(Task, "record", record)
    monkeypatch.setattr(stacked_fit, "CPU_WEIGHTS", 1)
    sizes.clear()
    together([member(tmp_path / f"d{i}", *m) for i, m in enumerate(MEMBERS)], max_epochs=1)
    assert sizes == [1] * 5, "large models are trained one at a time on a CPU"


def test_a_damaged_resume_checkpoint_fails_its_member_and_says_what_to_do(tmp_path: Path) -> None:
    group = [member(tmp_path / str(i), *MEMBERS[i]) for i in (0, 1)]
    (tmp_path / "0" / "last_train_together.ckpt").write_bytes(b"no checkpoint")
    done, failed = together(group, max_epochs=1)
    assert done.keys() == {"1"}
    assert "last_train_together.ckpt: damaged" in failed["0"]
    assert "Delete it" in failed["0"]


def test_a_loss_that_explodes_stops_no_other(tmp_path: Path) -> None:
    bad = (0, 0, {}, {"lr": 1e300})
    done, failed = together([member(tmp_path / "bad", *bad), member(tmp_path / "1", *MEMBERS[1])], max_epochs=4)
    assert failed.keys() == {"bad"}
    assert "no longer finite" in failed["bad"]
    assert "model.optim.lr" in failed["bad"]
    assert_equal_models(alone(tmp_path / "alone", *MEMBERS[1], max_epochs=4)[0], done["1"][0])


def test_no_finite_score_is_a_failure_as_it_is_alone(tmp_path: Path) -> None:
    lost = Batch(DATA[0]["val"].x * float("nan"), *DATA[0]["val"][1:])
    (tmp_path / "0").mkdir()
    bad = Member(maker(0, {}), {**DATA[0], "val": lost}, {}, 0, tmp_path / "0")
    done, failed = together([bad], max_epochs=2)
    assert not done
    assert "trainer.monitor=val/mae: no finite value in 2 epochs" in failed["0"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"at_once": 0}, r"trainer\.at_once: 0 must be 1 or more"),
        ({"precision": "bf16-mixed"}, r"trainer\.precision=bf16-mixed: .*precision=32-true"),
        ({"compile": True}, r"trainer\.compile=True: .*compiles nothing"),
        ({"devices": 2}, r"trainer\.devices=2: .*one device.*trainer=cpu, gpu or ddp"),
        ({"strategy": "ddp"}, r"trainer\.strategy=ddp"),
        ({"monitor": "val/rmse"}, r"trainer\.monitor"),
    ],
)
def test_wrong_settings(change: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        StackedTraining(**change)


def test_device_and_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert StackedTraining().on(None).device == torch.device("cpu")
    assert StackedTraining(at_once=7).on("cpu") == StackedTraining(at_once=7, accelerator="cpu")
    with pytest.raises(ConfigError, match="no GPU"):
        StackedTraining().on("cuda")
