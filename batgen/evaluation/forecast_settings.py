"""The evaluation node of sequence runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batgen.errors import ConfigError


@dataclass(frozen=True)
class ForecastEvaluation:
    """What is asked of a forecaster.

    cuts: cycles observed, each evaluated (null: the cycles of the run; a chronological split has cuts of its own). until:
    forecasts go at least to this cycle, and the clamp metric to exactly this one (null: to the last cycle of the longest
    cell, no clamp metric). conformal: intervals calibrated on the validation forecasts are reported beside the raw ones.
    explain: cells of each test set whose attention and saliency are written. explain_steps: steps ahead of the saliency.
    baselines: name -> node of a forecaster with `fit` and `forecast`.
    """

    ACCEPTS = ("sequences",)

    cuts: list[int] | None = None
    until: int | None = None
    conformal: bool = True
    explain: int = 0
    explain_steps: int = 80
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cuts is not None and (not self.cuts or any(cut < 1 for cut in self.cuts)):
            raise ConfigError(f"evaluation.cuts={list(self.cuts)}: give cycles from 1 on, such as [100,30], or null.")
        for key in ("until", "explain_steps"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ConfigError(f"evaluation.{key}={getattr(self, key)}: give 1 or more.")
        if self.explain < 0:
            raise ConfigError(f"evaluation.explain={self.explain}: give a number of cells, 0 for none.")

    def check_until(self, cuts: Sequence[int]) -> None:
        """Raise ConfigError where the clamp metric would end before a forecast starts. cuts: cycles observed in tests."""
        if self.until is not None and self.until <= max(cuts):
            raise ConfigError(
                f"evaluation.until={self.until}: tests observe up to {max(cuts)} cycles, and the clamp metric is of later "
                "ones. Give a later cycle, or null."
            )
