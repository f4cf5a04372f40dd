"""Train many models of one architecture in one process: each of those in the stack takes its own next epoch, until its
early stopping ends it; then others take its place. Each becomes what `batgen.training.fit.fit` makes of it alone."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from batgen.errors import BatgenError
from batgen.files import write_json
from batgen.models.base import Batch
from batgen.training.settings import LEAK
from batgen.training.stacked import StackedTraining
from batgen.training.stacked_bar import StackBar
from batgen.training.stacked_rows import Pool, RowsOf, StackRows
from batgen.training.stacked_task import Task
from batgen.training.stacked_weights import Stack, StackMember, StackOf, fresh

#: Weights in one step on a CPU, of all members: with more of them it waits for memory instead of gaining from company
#: (benchmarks/ensemble.py: 8 members of hidden 64, but 1 of hidden 512).
CPU_WEIGHTS = 2**22


@dataclass(frozen=True)
class Member:
    """One model to train: what `fit` is told of it, with the keys of its AdamW in place of an optimiser."""

    new_model: Callable[[Batch], nn.Module]
    rows: dict[str, Batch]
    optim: Mapping[str, float]
    seed: int
    folder: Path


def fit_together(
    members: Sequence[Member],
    stack_of: StackOf,
    settings: StackedTraining,
    console: Console,
    done: Callable[[Member, nn.Module, dict[str, Any]], None],
    failed: Callable[[Member, str], None],
) -> None:
    """Train all members; tell `done` the model and the facts of each as soon as it is finished, `failed` why one cannot be.

    Models must have one architecture, but for what `stack_of` evens out. folder of a member: gets metrics.csv and its
    resume checkpoint; goes on from it, whoever is trained beside it then.
    """
    _Together(members, stack_of, settings, done, failed).run(console)


@dataclass
class _Waiting:
    member: Member
    stage: str
    limit: int


class _Together:
    def __init__(
        self,
        members: Sequence[Member],
        stack_of: StackOf,
        settings: StackedTraining,
        done: Callable[[Member, nn.Module, dict[str, Any]], None],
        failed: Callable[[Member, str], None],
    ) -> None:
        self.count, self.stack_of, self.settings, self._done, self._failed = (
            len(members),
            stack_of,
            settings,
            done,
            failed,
        )
        self.device = settings.device
        self.pool = Pool([m.rows for m in members], self.device, settings.resident)
        self._joined: dict[int, Batch] = {}
        by_size = sorted(members, key=lambda m: -len(m.rows["train"].x))
        self.waiting = deque(self._first_stage(member) for member in by_size)
        self.active: list[tuple[Member, Task]] = []
        self.most = 0  # members when the stack was last filled up

    def run(self, console: Console) -> None:
        epochs, saved = 0, time.monotonic()
        with StackBar(console, self.count, self.settings.monitor) as bar:
            while self.waiting or self.active:
                # When half have ended, so that few different numbers of steps are in a stack, and it is seldom built anew.
                if self.waiting and len(self.active) <= self.most // 2:
                    self._admit()
                self._restack()
                reasons: dict[int, str] = {}
                while self.active and not reasons and not any(task.over for _, task in self.active):
                    reasons = self._round()
                    epochs += len(self.active)
                    bar.show(epochs, [task for _, task in self.active], [one.limit for one in self.waiting])
                    if time.monotonic() - saved >= self.settings.save_every_s:
                        self._save()
                        saved = time.monotonic()
                self._retire(reasons)

    def _first_stage(self, member: Member) -> _Waiting:
        if self.settings.early_stopping != "retrain":
            return _Waiting(member, "train", self.settings.max_epochs)
        searched = member.folder / "stage1.json"
        if searched.is_file():
            return _Waiting(member, "retrain", json.loads(searched.read_text(encoding="utf-8"))["best_epoch"] + 1)
        return _Waiting(member, "search", self.settings.max_epochs)

    def _task(self, waiting: _Waiting) -> Task:
        member, data = waiting.member, waiting.member.rows
        train, val = len(data["train"].x), len(data["val"].x)
        alone = waiting.stage == "search" or self.settings.early_stopping == "disjoint"
        model = member.new_model(data["train"] if alone else self._merged(data))
        placed = model.placed(torch.cat([data["train"].cond, data["val"].cond]))  # type: ignore[operator]
        rows = RowsOf(
            data, placed, member.seed, train if alone else train + val, train, 0 if waiting.stage == "retrain" else val
        )
        task = Task(waiting.stage, model, rows, member.optim, waiting.limit, member.folder, fresh(model))
        task.go_on()
        return task

    def _merged(self, data: dict[str, Batch]) -> Batch:
        if id(data) not in self._joined:
            pairs = zip(data["train"], data["val"], strict=True)
            self._joined[id(data)] = Batch(*(torch.cat(pair) for pair in pairs))
        return self._joined[id(data)]

    def _admit(self) -> None:
        while self.waiting and self._room():
            waiting = self.waiting.popleft()
            try:
                self.active.append((waiting.member, self._task(waiting)))
            except BatgenError as error:
                self._failed(waiting.member, str(error))
        self.most = len(self.active)

    def _room(self) -> bool:
        """Whether one more fits in."""
        if self.device.type == "cpu" and self.active:
            weights = [sum(w.numel() for w in task.weights.now.values()) for _, task in self.active]
            if sum(weights) + max(weights) > CPU_WEIGHTS:
                return False
        return len(self.active) < self.settings.at_once

    def _detach(self) -> None:
        """Tasks hold their own weights again, as they are in the stack that is given up."""
        for place, (_, task) in enumerate(self.active):
            task.weights = self.stack.weights(place)

    def _restack(self) -> None:
        """Side by side: those with the most steps an epoch first, then those that AdamW can take as one."""
        size = self.settings.batch_size
        self.active.sort(key=lambda one: (-one[1].steps(size), str(sorted(one[1].optim.items())), one[1].epoch))
        tasks = [task for _, task in self.active]
        if tasks:
            members = [StackMember(t.model, t.weights, t.optim, t.steps(size)) for t in tasks]
            self.stack = Stack(members, self.stack_of, self.device)
            latent = int(tasks[0].model.latent)  # type: ignore[arg-type]
            self.rows = StackRows([t.rows for t in tasks], self.pool, size, latent, self.settings.val_draws)

    def _round(self) -> dict[int, str]:
        """An epoch of everybody in the stack. Returns place -> why a training cannot go on."""
        tasks = [task for _, task in self.active]
        sums: dict[str, Tensor] = {}
        counts = [0] * len(tasks)
        for x, placed, noise, weight in self.rows.steps([t.epoch for t in tasks]):
            active = len(x)
            model = self.stack.cut(active)
            vector = model.told(placed)
            rows = model.row_losses(x, vector, model.encode(x, vector), noise)
            parts = {name: (value * weight).sum(1) for name, value in rows.items()}
            self.stack.step(parts["loss"], self.settings.gradient_clip)
            for name, value in parts.items():
                sums.setdefault(name, value.new_zeros(len(tasks)))[:active] += value.detach()
            counts[:active] = [count + 1 for count in counts[:active]]
        losses = {name: value.tolist() for name, value in sums.items()}
        scores: dict[str, list[float]] = {}
        if any(task.due(self.settings.val_every) for task in tasks):
            found = self.rows.validation_scores(self.stack.cut(len(tasks)))
            scores = {name: value.tolist() for name, value in found.items()}
        reasons, better = {}, []
        for place, task in enumerate(tasks):
            if not math.isfinite(losses["loss"][place]):
                reasons[place] = (
                    f"epoch {task.epoch}: the training loss is no longer finite. Try a smaller model.optim.lr, or "
                    "trainer.gradient_clip=1."
                )
                continue
            mine = {name: values[place] / counts[place] for name, values in losses.items()}
            told = {n: v[place] for n, v in scores.items()} if task.due(self.settings.val_every) else None
            if task.record(mine, told, self.settings):
                better.append(place)
        if better:
            self.stack.keep(better)
        return reasons

    def _retire(self, reasons: Mapping[int, str]) -> None:
        """Those that have ended leave the stack, which then costs less."""
        self._detach()
        staying = []
        for place, (member, task) in enumerate(self.active):
            if place in reasons:
                self._failed(member, reasons[place])
            elif task.over:
                self._end(member, task)
            else:
                staying.append((member, task))
        self.active = staying

    def _end(self, member: Member, task: Task) -> None:
        task.write_table()
        settings = self.settings
        if task.watched and task.best_epoch < 0:
            self._failed(
                member,
                f"trainer.monitor={settings.monitor}: no finite value in {task.epoch} epochs with "
                f"trainer.val_every={settings.val_every}. Validate more often, or choose another monitor.",
            )
            return
        facts = {
            "epochs": task.epoch,
            "best_epoch": task.best_epoch if task.watched else task.epoch - 1,
            "best_score": task.best if task.watched else None,
            "monitor": settings.monitor,
            "device": str(self.device),
            "early_stopping": settings.early_stopping,
        }
        first = member.folder / "stage1.json"
        if task.stage == "search":
            write_json(first, facts)
            task.resume_path.unlink(missing_ok=True)
            self.waiting.append(_Waiting(member, "retrain", task.best_epoch + 1))
            return
        if task.stage == "retrain":
            facts["search"] = json.loads(first.read_text(encoding="utf-8"))
        elif settings.early_stopping == "literal":
            facts["leak"] = LEAK
        self._done(member, task.trained(), {**facts, "trained_together": self.count})

    def _save(self) -> None:
        self._detach()
        for _, task in self.active:
            task.save()
            task.write_table()
