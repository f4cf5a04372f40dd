"""How far a sequence model is led by the hand: the share of teacher forcing and the forecast length, by epoch.

ARCANA (`arcana_seq2seq.txt`), "Teacher forcing", eqs. 7 and 8. The published program sorts its (ratio, length) pairs by
ratio after making them, which mixes the lengths of all segments; here the length never falls from one epoch to the next.
"""

import math
from dataclasses import dataclass

from batgen.errors import ConfigError


@dataclass(frozen=True)
class Curriculum:
    """The `epochs` of a training in `segments` stretches, each with a longer forecast than the one before.

    In every segment the share of teacher forcing (the probability that a decoding step is given the measured value
    instead of the model's own) falls linearly from `start` to `end`, both in [0, 1]. decay (the paper's lambda, per
    segment) makes the later segments shorter by exp(-decay) each; 0 makes all equal. One segment: a plain linear fall,
    always on the whole length. Raises ConfigError naming the key for what cannot be a schedule.
    """

    epochs: int
    segments: int = 1
    decay: float = 0.0
    start: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        for key in ("epochs", "segments"):
            if getattr(self, key) < 1:
                raise ConfigError(f"trainer.curriculum.{key}: {getattr(self, key)} must be 1 or more.")
        if not (math.isfinite(self.decay) and self.decay >= 0):
            raise ConfigError(
                f"trainer.curriculum.decay: {self.decay} must be 0 (equal segments) or more (later segments shorter)."
            )
        for key in ("start", "end"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"trainer.curriculum.{key}: {getattr(self, key)} is no share between 0 and 1.")
        if self.start < self.end:
            raise ConfigError(
                f"trainer.curriculum.start: {self.start} is below trainer.curriculum.end={self.end}, but teacher forcing "
                "can only fall. Exchange the two, or make them equal for a constant share."
            )

    @property
    def lengths(self) -> tuple[int, ...]:
        """Epochs of each segment, d_i of eq. 7, made to sum to `epochs` exactly.

        Rounding alone may lose or gain epochs. The missing ones go, one each, to the segments that rounding robbed most
        (the earlier of equals); surplus ones are taken from those that it favoured most (the later of equals). With few
        epochs or a strong decay a segment may get none and is passed over, but the last one keeps one epoch at least,
        taken from the longest (the later of equals): the model must have seen the whole forecast length.
        """
        shares = [math.exp(-self.decay * i) for i in range(self.segments)]
        exact = [share / sum(shares) * self.epochs for share in shares]
        whole = [round(x) for x in exact]
        missing = self.epochs - sum(whole)
        robbed = [x - n for x, n in zip(exact, whole, strict=True)]
        if missing > 0:
            for i in sorted(range(self.segments), key=lambda i: (-robbed[i], i))[:missing]:
                whole[i] += 1
        elif missing < 0:
            for i in sorted(range(self.segments), key=lambda i: (robbed[i], -i))[:-missing]:
                whole[i] -= 1
        if whole[-1] == 0:
            longest = max(range(self.segments), key=lambda i: (whole[i], i))
            whole[longest] -= 1
            whole[-1] = 1
        return tuple(whole)

    def _place(self, epoch: int) -> tuple[int, int, int]:
        """Segment of an epoch (counted from 0), the epoch's place within it, and the segment's length."""
        if epoch < 0:
            raise ValueError(f"epoch {epoch} is negative")
        first = 0
        for segment, length in enumerate(self.lengths):
            if epoch < first + length:
                return segment, epoch - first, length
            first += length
        return self.segments - 1, length, length  # past the schedule: its end is held

    def ratio(self, epoch: int) -> float:
        """Share of teacher forcing, R_t of eq. 8 with t counted from 0 in each segment.

        As in the paper the end would be reached one epoch after the segment's last. Its epsilon is left out: a segment
        that is trained has at least one epoch. Past the schedule: `end`.
        """
        _, t, length = self._place(epoch)
        return self.start - (self.start - self.end) * t / length

    def length(self, epoch: int, steps: int) -> int:
        """How many of the `steps` forecast steps the epoch trains on: the first ceil(steps (i + 1) / segments).

        It never falls, and the last segment (and what comes after the schedule) has all of them.
        """
        segment, _, _ = self._place(epoch)
        return -(-steps * (segment + 1) // self.segments)


def constant(ratio: float) -> Curriculum:
    """The same share of teacher forcing at every epoch, always on the whole length."""
    return Curriculum(epochs=1, start=ratio, end=ratio)
