"""Scores of one model on test curves: reconstruction, generation from the prior, and what its latent carries.

Conditions are processed in chunks, so that memory does not grow with the number of test curves times draws.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from batgen.errors import ConfigError
from batgen.evaluation.conditional import conditional_mean, crps
from batgen.evaluation.diversity import spread_and_skill, variance_ratio
from batgen.evaluation.intervals import bootstrap_over_cells
from batgen.evaluation.latent import latent_diagnostics
from batgen.evaluation.reconstruction import (
    TOTAL,
    absolute_error,
    mean_absolute_error,
    r2,
    root_mean_squared_error,
    squared_error,
    with_total,
)
from batgen.evaluation.rows import metric_rows
from batgen.models.base import Batch

PerSample = dict[str, np.ndarray]
Inverse = Callable[[np.ndarray], np.ndarray]
CHUNK_FLOATS = 16_000_000


@dataclass(frozen=True)
class CurveEvaluation:
    """The evaluation node of the config.

    prior_samples: draws per test condition (K). reconstruct_z: the latent of reconstructions, "mean" of the posterior or
    a "sample" of it, as in the paper's Algorithm 1. baselines: model nodes, fitted on the model's own training rows and
    scored beside it. keep_conditions, keep_draws: how many test conditions keep how many draws in samples.h5.
    """

    ACCEPTS = ("curves",)

    prior_samples: int = 50
    reconstruct_z: str = "mean"
    baselines: Mapping[str, Any] = field(default_factory=dict)
    keep_conditions: int = 64
    keep_draws: int = 20

    def __post_init__(self) -> None:
        if self.reconstruct_z not in ("mean", "sample"):
            raise ConfigError(f"evaluation.reconstruct_z: {self.reconstruct_z!r} is neither mean nor sample.")
        for key, least in (("prior_samples", 2), ("keep_conditions", 1), ("keep_draws", 1)):
            if getattr(self, key) < least:
                raise ConfigError(f"evaluation.{key}: {getattr(self, key)} must be {least} or more.")


@dataclass
class TestSet:
    """Test rows as tensors (scaled x, conditions) and as physical slices; `cells` names the cell of each row."""

    batch: Batch
    real: np.ndarray
    slices: tuple[str, ...]
    cells: np.ndarray
    inverse: Inverse

    __test__ = False  # not a test case, whatever pytest thinks of its name

    def chunks(self, draws: int) -> Iterator[slice]:
        step = max(1, CHUNK_FLOATS // max(1, draws * int(np.prod(self.real.shape[1:]))))
        for start in range(0, len(self.real), step):
            yield slice(start, start + step)


@dataclass
class Scored:
    """Rows for metrics.json and the curves that figures want: (N, S, P) each, `draws` (M, K, S, P) of rows `drawn`."""

    rows: list[dict[str, Any]]
    conditional_mean: np.ndarray
    draws: np.ndarray
    drawn: np.ndarray
    reconstruction: np.ndarray | None = None


def score(model: nn.Module, test: TestSet, settings: CurveEvaluation, seed: int, context: Mapping[str, Any]) -> Scored:
    """Everything known of `model` on `test`. `context` holds the columns common to its rows; see `metric_rows`."""
    scored = _score_prior(model, test, settings, seed, {**context, "mode": "prior", "K": settings.prior_samples})
    if hasattr(model, "reconstruct"):
        scored.reconstruction = _reconstruct(model, test, settings.reconstruct_z, seed)
        scored.rows += _error_rows(scored.reconstruction, test, seed, {**context, "mode": "reconstruction"})
        scored.rows += _latent_rows(model, test, seed, context)
    return scored


def _score_prior(
    model: nn.Module, test: TestSet, settings: CurveEvaluation, seed: int, context: Mapping[str, Any]
) -> Scored:
    generator = torch.Generator().manual_seed(seed)
    keep = np.unique(np.linspace(0, len(test.real) - 1, min(settings.keep_conditions, len(test.real))).astype(int))
    means, kept = np.empty_like(test.real), []
    joined: dict[str, list[PerSample]] = {"crps": [], "spread": [], "skill": []}
    for part in test.chunks(settings.prior_samples):
        drawn = model.sample(test.batch.cond[part], settings.prior_samples, generator)  # type: ignore[operator]
        generated, real = test.inverse(drawn.numpy()), test.real[part]
        means[part] = conditional_mean(generated)
        joined["crps"].append(crps(real, generated, test.slices))
        spread, skill = spread_and_skill(real, generated, test.slices)
        joined["spread"].append(spread)
        joined["skill"].append(skill)
        here = keep[(keep >= part.start) & (keep < part.stop)] - part.start
        kept.append(np.moveaxis(generated[: settings.keep_draws, here], 0, 1))
    whole = {k: {s: np.concatenate([p[s] for p in parts]) for s in parts[0]} for k, parts in joined.items()}
    rows = _error_rows(means, test, seed, context)
    rows += _mean_rows("CRPS", with_total(whole["crps"]), test, seed, context)
    ratio = variance_ratio(whole["spread"], whole["skill"], settings.prior_samples)
    known = np.array(list(ratio.values()))
    ratio[TOTAL] = float(np.exp(np.log(known).mean())) if (known > 0).all() else 0.0  # of ratios, the geometric mean
    rows += metric_rows("variance_ratio", ratio, context)
    return Scored(rows, means, np.concatenate(kept), keep)


def _error_rows(curves: np.ndarray, test: TestSet, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    absolute = with_total(absolute_error(test.real, curves, test.slices))
    squared = with_total(squared_error(test.real, curves, test.slices))
    rows = _mean_rows("MAE", absolute, test, seed, context)
    rows += metric_rows("RMSE", root_mean_squared_error(squared), context)
    return rows + metric_rows("R2", r2(test.real, curves, test.slices), context)


def _mean_rows(
    metric: str, values: PerSample, test: TestSet, seed: int, context: Mapping[str, Any]
) -> list[dict[str, Any]]:
    intervals = {name: bootstrap_over_cells(v, test.cells, seed) for name, v in values.items()}
    return metric_rows(metric, mean_absolute_error(values), context, intervals)


def _reconstruct(model: nn.Module, test: TestSet, z: str, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    curves = np.empty_like(test.real)
    for part in test.chunks(1):
        x, cond, cell = (t[part] for t in test.batch)
        curves[part] = test.inverse(model.reconstruct(x, cond, cell, z=z, generator=generator).numpy())  # type: ignore[operator]
    return curves


def _latent_rows(model: nn.Module, test: TestSet, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Active units, KL, and the total error with z from the posterior, the prior, and permuted across samples."""
    with torch.no_grad():
        mu, logvar = model.posterior(*test.batch)  # type: ignore[operator]
    found = latent_diagnostics(mu.numpy(), logvar.numpy())
    own = {**context, "mode": "latent"}
    rows = metric_rows("active_units", {"latent": found.active_units}, own)
    rows += metric_rows("kl_nats", {"latent": found.kl_nats}, own)
    for name, z in (("posterior", "sample"), ("prior", "prior"), ("permuted", "permuted")):
        absolute = with_total(absolute_error(test.real, _reconstruct(model, test, z, seed), test.slices))
        rows += metric_rows(f"MAE_{name}", {TOTAL: mean_absolute_error(absolute)[TOTAL]}, own)
    return rows
