"""When to stop: loss of generalisation against progress (ARCANA, "Early stopping", eq. 11; after Prechelt), or patience."""

import math
from collections.abc import Sequence
from typing import Any

from batgen.errors import ConfigError


def generalisation_loss(val: float, best: float) -> float:
    """GL of eq. 11 in percent: how far the validation error is above the lowest one so far. Errors are >= 0.

    A best error of 0 cannot be compared by ratio: the loss is 0 where it is met again, infinite above it.
    """
    if best == 0:
        return 0.0 if val == 0 else math.inf
    return 100 * (val / best - 1)


def progress_quotient(strip: Sequence[float]) -> float:
    """PQ of eq. 11 in per mille: how far the mean training error of the strip is above its lowest. Errors are >= 0.

    0 when the training stands still; infinite when it came down to 0 within the strip; NaN when an error is NaN.
    """
    if any(math.isnan(error) for error in strip):
        return math.nan
    mean, low = sum(strip) / len(strip), min(strip)
    if low == mean:
        return 0.0
    # Not below 0: the mean of equal numbers may round to less than their minimum.
    return math.inf if low == 0 else max(0.0, 1000 * (mean / low - 1))


class EarlyStopping:
    """Says after each validation whether to stop. Either rule is left out by None.

    gl_pq: stop when GL / PQ is above it and the validation error rose over `trend` successive validations, both as in
    the paper. PQ is taken over the last `strip` training errors; until there are as many the rule is silent.
    patience: stop when so many successive validations brought nothing below the lowest error. A validation error of NaN
    is no improvement and no rise. `reason` is empty until a rule has spoken, then says which, in words.
    Raises ConfigError for settings under which a rule could never speak, or always would.
    """

    def __init__(self, patience: int | None, gl_pq: float | None, strip: int = 5, trend: int = 3):
        if patience is not None and patience < 1:
            raise ConfigError(f"trainer.patience: {patience} must be 1 or more, or null for no limit.")
        if gl_pq is not None and not (math.isfinite(gl_pq) and gl_pq > 0):
            raise ConfigError(f"trainer.gl_pq: {gl_pq} must be a number above 0, or null to leave the rule out.")
        if strip < 2:
            raise ConfigError(f"trainer.strip: {strip} must be 2 or more: one training error shows no progress.")
        if trend < 1:
            raise ConfigError(f"trainer.trend: {trend} must be 1 or more successive rises.")
        self.patience, self.gl_pq, self.strip, self.trend = patience, gl_pq, strip, trend
        self.best = math.inf
        self.since = 0
        self.reason = ""
        self._train: list[float] = []
        self._val: list[float] = []

    def update(self, train_loss: float, val_loss: float) -> bool:
        """Take in the two errors (>= 0) of one more validation. True: stop, see `reason`."""
        self._train = [*self._train, train_loss][-self.strip :]
        self._val = [*self._val, val_loss][-(self.trend + 1) :]
        if val_loss < self.best:
            self.best, self.since = val_loss, 0
        else:
            self.since += 1
        self.reason = self._overfitting() or self._impatience()
        return bool(self.reason)

    def _overfitting(self) -> str:
        if self.gl_pq is None or len(self._train) < self.strip or not self._rising():
            return ""
        loss, progress = generalisation_loss(self._val[-1], self.best), progress_quotient(self._train)
        # No progress at all makes any loss too much; without a loss there is nothing to weigh.
        ratio = loss / progress if progress != 0 else math.inf if loss > 0 else 0.0
        if not ratio > self.gl_pq:  # NaN does not stop
            return ""
        return (
            f"GL/PQ = {ratio:.3g} is above {self.gl_pq:g} (generalisation loss {loss:.3g} %, training progress "
            f"{progress:.3g} per mille) and the validation error rose {self.trend} times in a row"
        )

    def _rising(self) -> bool:
        pairs = list(zip(self._val, self._val[1:], strict=False))
        return len(pairs) == self.trend and all(after > before for before, after in pairs)

    def _impatience(self) -> str:
        if self.patience is None or self.since < self.patience:
            return ""
        best = f"lowest {self.best:.4g}" if math.isfinite(self.best) else "none was finite"
        return f"{self.since} validations brought no lower validation error ({best})"

    def state(self) -> dict[str, Any]:
        """All that the next update depends on besides the settings, as plain containers."""
        return {
            "best": self.best,
            "since": self.since,
            "reason": self.reason,
            "train": list(self._train),
            "val": list(self._val),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state()` of an earlier process."""
        self.best, self.since, self.reason = state["best"], state["since"], state["reason"]
        self._train, self._val = list(state["train"]), list(state["val"])
