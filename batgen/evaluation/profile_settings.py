"""The evaluation node of profile runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batgen.errors import ConfigError
from batgen.preprocessing.conditions import CATEGORICAL, NUMERIC


@dataclass(frozen=True)
class ProfileEvaluation:
    """How generated profiles are judged.

    draws: profiles a test condition. peak_after_s: by part ("charge", "discharge"), when a peak begins to count. blocks:
    conditions that no data can tell apart are permuted together; permutations: repeats of each. c2st: run the classifier
    two-sample test. sweep: values of a condition in its sweep (0: none). keep_rows, keep_draws: how many test rows keep how
    many draws for figures. baselines: model nodes, fitted to the same rows.
    """

    ACCEPTS = ("profiles",)

    draws: int = 64
    peak_after_s: Mapping[str, float] = field(default_factory=dict)
    blocks: Sequence[Sequence[str]] = ()
    permutations: int = 5
    c2st: bool = True
    sweep: int = 9
    keep_rows: int = 120
    keep_draws: int = 20
    baselines: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, least in (("draws", 4), ("permutations", 0), ("sweep", 0), ("keep_rows", 1), ("keep_draws", 2)):
            if getattr(self, key) < least:
                raise ConfigError(f"evaluation.{key}: {getattr(self, key)} must be {least} or more.")
        if 0 < self.sweep < 6:
            raise ConfigError(
                f"evaluation.sweep: {self.sweep} must be 0, or 6 or more: four values lie beyond the range."
            )
        for part, after in self.peak_after_s.items():
            if part not in ("charge", "discharge") or after < 0:
                raise ConfigError(
                    f"evaluation.peak_after_s.{part}={after}: seconds of 0 or more, by part (charge, discharge)."
                )

        named = [name for block in self.blocks for name in block]
        for name in named:
            if name not in (known := [*NUMERIC, *CATEGORICAL]) or named.count(name) > 1:
                wrong = "twice" if name in known else f"which is none of {', '.join(known)}"
                raise ConfigError(f"evaluation.blocks: names {name!r}, {wrong}. Name each condition once at most.")

    def after_s(self, part: str) -> float:
        return float(self.peak_after_s.get(part, 0.0))
