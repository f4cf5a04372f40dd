"""Scores of one pulse model on its test rows: SOH by inversion and from generated rows, and the voltages themselves.

Every estimate is a row of one tidy table (`predictions`), every number of a report is computed from that table. True SOH
of test rows is used for scoring alone, except under generate_at=test_rows, as the published code has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.evaluation import utility
from batgen.evaluation.inversion import marginal, posterior, posterior_summary, soh_prior

PRIORS = ("none", "slope", "latent_scaling", "published_shift")
GENERATE_AT = ("test_rows", "training_soh")
#: Grids of the inversion: SOH, and with the SOC unknown a coarser one over SOC x SOH.
SOH_STEP, COARSE_SOH_STEP, SOC_STEP, MARGIN = 0.005, 0.01, 0.025, 0.05
#: Generated rows a regressor learns from at most: more only cost time.
MOST_GENERATED = 1500
IDENTITY = ["battery", "cell_id", "stage_id", "soc", "soh", "test_set"]


@dataclass(frozen=True)
class PulseEvaluation:
    """The evaluation node of pulse models.

    priors: what is assumed beyond the training SOCs, each evaluated: none | slope | latent_scaling | published_shift.
    generate_at: conditions of generated rows, test_rows (each test row's SOC and true SOH, as published) or training_soh
    (each test SOC with the SOHs of the training cells). multiplier: generated rows for each of these conditions, 1 or
    more, not necessarily whole. published_shift_V: V for 5 % of SOC beyond the second training SOC, by battery type.
    soc_unknown: also infer SOH without SOC. keep_draws: draws a test row for voltage errors and figures. baselines: model
    nodes, fitted on the same training rows, whose inversion and voltages stand beside.
    """

    ACCEPTS = ("pulses",)

    priors: list[str] = field(default_factory=lambda: ["slope"])
    generate_at: str = "training_soh"
    multiplier: float = 1.0
    published_shift_V: Mapping[str, float] = field(default_factory=dict)
    soc_unknown: bool = True
    keep_draws: int = 20
    baselines: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.priors, str) or not self.priors or set(self.priors) - set(PRIORS):
            raise ConfigError(f"evaluation.priors={self.priors}: it must be a list of some of {', '.join(PRIORS)}.")
        if self.generate_at not in GENERATE_AT:
            raise ConfigError(f"evaluation.generate_at={self.generate_at!r} is none of {', '.join(GENERATE_AT)}.")
        if not self.multiplier >= 1:
            raise ConfigError(f"evaluation.multiplier={self.multiplier}: generate 1 row or more for each condition.")
        if self.keep_draws < 2:
            raise ConfigError(f"evaluation.keep_draws={self.keep_draws} must be 2 or more.")


@dataclass
class Task:
    """One test: rows of the pulse table to learn from and to be scored on, and how rows become a model's input.

    volts(table) -> (N, F) V; encode(table) -> (N, C) conditions; scale, offset (F,): V = scale * scaled + offset.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    volts: Any
    encode: Any
    scale: np.ndarray
    offset: np.ndarray
    train_soc: list[float]
    seed: int


@dataclass
class Voltages:
    """Test rows of one prior: measured (M, F) and generated (K, M, F) voltages in V at the true conditions."""

    rows: pd.DataFrame
    measured: np.ndarray
    generated: np.ndarray


class Generator:
    """A fitted model in physical units under one prior."""

    def __init__(self, model: nn.Module, task: Task, prior: str, shifts: Mapping[str, float]) -> None:
        self.model, self.task, self.shifts = model, task, shifts
        self.shifted = prior == "published_shift"
        self.prior = "none" if self.shifted else prior

    @property
    def has_density(self) -> bool:
        """Whether SOH can be inferred by inversion. Latent scaling is defined over all SOCs wanted in one call, and an
        inversion asks for one SOC at a time."""
        return bool(self.model.has_density) and not self.shifted and self.prior != "latent_scaling"

    def draw(self, rows: pd.DataFrame, n: int) -> np.ndarray:
        """(n, N, F) V at the conditions of `rows`."""
        generator = torch.Generator().manual_seed(self.task.seed)
        drawn: Tensor = self.model.sample(self.task.encode(rows), n, generator, prior=self.prior)  # type: ignore[operator]
        volts = drawn.double().numpy() * self.task.scale + self.task.offset
        return volts + self._shift(rows)[:, None] if self.shifted else volts

    def moments(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, F) V and covariance (N, F, F) V^2."""
        mean, cov = self.model.moments(self.task.encode(rows), self.prior)  # type: ignore[operator]
        scale = self.task.scale
        return mean.numpy() * scale + self.task.offset, cov.numpy() * scale[:, None] * scale

    def _shift(self, rows: pd.DataFrame) -> np.ndarray:
        """The published correction: V for each 5 % of SOC beyond the second training SOC, where none was trained."""
        unknown = sorted(set(rows["battery"]) - set(self.shifts))
        if unknown:
            raise ConfigError(
                f"evaluation.priors: published_shift has no value for {unknown[0]}. Add one to "
                "evaluation.published_shift_V in conf/evaluation/pulses.yaml, or leave published_shift out."
            )
        soc, known = rows["soc"].to_numpy(float), self.task.train_soc
        second = known[min(1, len(known) - 1)]
        untrained = (soc < known[0]) | (soc > known[-1])
        return np.where(untrained, (soc - second) * 20 * rows["battery"].map(self.shifts).to_numpy(float), 0.0)


def generated_rows(generator: Generator, settings: PulseEvaluation) -> tuple[pd.DataFrame, np.ndarray]:
    """Conditions (N rows) and voltages (N, F) of the rows that regressors learn from, `multiplier` for each condition."""
    task = generator.task
    test = task.test[task.test["test_set"] == "grid"]
    if settings.generate_at == "test_rows":
        wanted = test[["battery", "soc", "soh"]]
    else:
        stages = task.train.drop_duplicates(["battery", "stage_id"])[["battery", "soh"]]
        wanted = test[["battery", "soc"]].drop_duplicates().merge(stages, on="battery")
    kinds = task.train.drop_duplicates("battery").set_index("battery")
    for name in ("chemistry", "nominal_capacity_Ah"):
        wanted = wanted.assign(**{name: wanted["battery"].map(kinds[name])})
    whole, part = int(settings.multiplier), settings.multiplier % 1
    rng = np.random.default_rng(task.seed)
    extra = np.sort(rng.permutation(len(wanted))[: round(part * len(wanted))])
    rows = pd.concat([*[wanted] * whole, wanted.iloc[extra]], ignore_index=True)
    return rows, generator.draw(rows, 1)[0]


def infer(generator: Generator, tested: pd.DataFrame, settings: PulseEvaluation) -> dict[str, np.ndarray]:
    """SOH of rows of one battery type by Bayes' rule: "inversion" and, where wanted, "inversion_soc_unknown", (N, 3) each:
    posterior mean and the ends of the central 90 % interval. The prior is flat over the training SOHs and a margin; an
    unknown SOC is flat between the lowest and the highest SOC of training and tested rows."""
    task, known = generator.task, generator.task.train
    known = known[known["battery"] == tested["battery"].iloc[0]]
    volts, soc = task.volts(tested), tested["soc"].to_numpy(float).round(3)
    grid = _soh_grid(known, SOH_STEP)
    prior = soh_prior(known["soh"].to_numpy(float), grid, MARGIN)
    found = np.empty((len(tested), 3))
    for level in np.unique(soc):
        at = soc == level
        mass = posterior(volts[at], *generator.moments(_at(known, level, grid)), prior)
        found[at] = np.stack(posterior_summary(mass, grid), 1)
    result = {"inversion": found}
    if settings.soc_unknown:
        coarse = _soh_grid(known, COARSE_SOH_STEP)
        ends = np.r_[soc, known["soc"].to_numpy(float)]
        levels = np.arange(ends.min(), ends.max() + SOC_STEP / 2, SOC_STEP)
        parts = [generator.moments(_at(known, level, coarse)) for level in levels]
        mean, cov = (np.stack(p) for p in zip(*parts, strict=True))
        joint = np.tile(soh_prior(known["soh"].to_numpy(float), coarse, MARGIN), (len(levels), 1))
        mass = marginal(volts, mean, cov, joint)
        result["inversion_soc_unknown"] = np.stack(posterior_summary(mass, coarse), 1)
    return result


def posterior_examples(generator: Generator, tested: pd.DataFrame, count: int = 12) -> dict[str, np.ndarray]:
    """Posterior densities over SOH of `count` test rows spread over SOC and SOH: grid (G,), density (R, G), soh, soc (R,)."""
    known = generator.task.train
    known = known[known["battery"] == tested["battery"].iloc[0]]
    chosen = tested.sort_values(["soc", "soh"]).iloc[
        np.linspace(0, len(tested) - 1, min(count, len(tested))).astype(int)
    ]
    grid = _soh_grid(known, SOH_STEP)
    prior = soh_prior(known["soh"].to_numpy(float), grid, MARGIN)
    density = [
        posterior(generator.task.volts(row), *generator.moments(_at(known, float(row["soc"].iloc[0]), grid)), prior)[0]
        / SOH_STEP
        for row in (chosen.iloc[[i]] for i in range(len(chosen)))
    ]
    return {
        "grid": grid,
        "density": np.stack(density),
        "soh": chosen["soh"].to_numpy(float),
        "soc": chosen["soc"].to_numpy(float),
        "label": chosen["stage_id"].to_numpy(object),
    }


def _soh_grid(known: pd.DataFrame, step: float) -> np.ndarray:
    """Multiples of `step` over the training SOHs and the margin."""
    low, high = known["soh"].min() - MARGIN, known["soh"].max() + MARGIN
    return np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step


def _at(known: pd.DataFrame, soc: float, grid: np.ndarray) -> pd.DataFrame:
    """Conditions: one SOC, every SOH of the grid, the battery type of `known`."""
    first = known.iloc[0]
    same = {name: first[name] for name in ("battery", "chemistry", "nominal_capacity_Ah")}
    return pd.DataFrame({"soc": soc, "soh": grid, **same})


def by_regression(
    train: pd.DataFrame, task: Task, made: tuple[pd.DataFrame, np.ndarray], tested: pd.DataFrame
) -> dict[str, np.ndarray]:
    """SOH of rows of one battery type from generated rows, without and with the measured ones: name -> (N,)."""
    rows, volts = made
    own = np.flatnonzero((rows["battery"] == tested["battery"].iloc[0]).to_numpy())
    if len(own) > MOST_GENERATED:
        own = np.sort(np.random.default_rng(task.seed).choice(own, MOST_GENERATED, replace=False))
    rows, volts = rows.iloc[own], volts[own]
    soc, soh = rows["soc"].to_numpy(float), rows["soh"].to_numpy(float)
    test_volts, test_soc = task.volts(tested), tested["soc"].to_numpy(float)
    both = (np.r_[task.volts(train), volts], np.r_[train["soc"], soc], np.r_[train["soh"], soh])
    result = {
        "generated": utility.gaussian_process(volts, soc, soh, test_volts, test_soc, task.seed),
        "generated+measured": utility.gaussian_process(*both, test_volts, test_soc, task.seed),
    }
    grid = tested["test_set"].to_numpy(str) == "grid"
    forest = np.full(len(tested), np.nan)
    for level in np.unique(test_soc[grid]):  # one for each test SOC, from the rows generated there
        at, there = grid & (test_soc == level), np.abs(soc - level) < 1e-6
        forest[at] = utility.published_forest(
            volts[there], soc[there], soh[there], test_volts[at], test_soc[at], task.seed
        )
    return _plausible({**result, "published_forest": forest}, train)


def by_measured_rows(train: pd.DataFrame, task: Task, tested: pd.DataFrame) -> dict[str, np.ndarray]:
    """SOH of rows of one battery type by the baselines, from measured training rows alone: name -> (N,)."""
    known = (task.volts(train), train["soc"].to_numpy(float), train["soh"].to_numpy(float))
    asked = (task.volts(tested), tested["soc"].to_numpy(float), task.seed)
    cells = pd.factorize(train["cell_id"])[0]
    found = {
        "constant": utility.constant(*known, *asked),
        "ridge": utility.ridge(*known, *asked, groups=cells),
        "forest": utility.forest_with_soc(*known, *asked),
        "nearest_soc": utility.nearest_soc(*known, *asked, groups=cells),
        "gaussian_process": utility.gaussian_process(*known, *asked),
    }
    return _plausible(found, train)


def _plausible(found: dict[str, np.ndarray], train: pd.DataFrame) -> dict[str, np.ndarray]:
    """Estimates kept within the training SOHs and a margin, which is what the prior of the inversion knows too."""
    low, high = train["soh"].min() - MARGIN, train["soh"].max() + MARGIN
    return {name: np.clip(values, low, high) for name, values in found.items()}
