"""A made pulse world, linear in SOC and SOH with known noise, and the generator that knows it (or is wrong about SOC)."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from batgen.evaluation.pulses import Task

FEATURES = 5
NOISE_V = 0.004
TRAIN_SOC, TEST_SOC = (0.1, 0.2, 0.3), (0.15, 0.25, 0.4)
SOC_SLOPE = np.linspace(0.4, 0.8, FEATURES)
SOH_SLOPE = np.array([0.1, -0.2, 0.3, -0.1, 0.2])
#: V = SCALE * scaled + OFFSET
SCALE, OFFSET = np.linspace(0.05, 0.09, FEATURES), np.linspace(3.4, 3.8, FEATURES)


def volts_of(soc: np.ndarray, soh: np.ndarray) -> np.ndarray:
    """(N, F) V without noise."""
    return 3.5 + np.outer(soc, SOC_SLOPE) + np.outer(soh, SOH_SLOPE)


def table(battery: str = "AAA_1Ah", cells: int = 12, stages: int = 2, noise_V: float = NOISE_V) -> pd.DataFrame:
    """Every stage at all SOCs, and once at a SOC off the grid."""
    rng = np.random.default_rng(len(battery))
    rows = []
    for cell in range(cells):
        for stage in range(stages):
            soh = 1.0 - 0.025 * cell - 0.008 * stage
            for soc, kind in [(s, "grid") for s in (*TRAIN_SOC, *TEST_SOC)] + [(0.22, "random_soc")]:
                rows.append((battery, "NMC", f"C{cell}", f"C{cell}-{stage}", soc, soh, kind, 1.0))
    names = ["battery", "chemistry", "cell_id", "stage_id", "soc", "soh", "test_set", "nominal_capacity_Ah"]
    made = pd.DataFrame(rows, columns=names)
    volts = volts_of(made["soc"].to_numpy(), made["soh"].to_numpy()) + rng.normal(0, noise_V, (len(made), FEATURES))
    return pd.concat([made, pd.DataFrame(volts, columns=[f"U{k + 1}" for k in range(FEATURES)])], axis=1)


def task(rows: pd.DataFrame | None = None, seed: int = 0) -> Task:
    """Trained at TRAIN_SOC, tested at the others and off the grid."""
    rows = table() if rows is None else rows
    trained = rows["soc"].isin(TRAIN_SOC) & (rows["test_set"] == "grid")
    names = [f"U{k + 1}" for k in range(FEATURES)]
    return Task(
        train=rows[trained].reset_index(drop=True),
        test=rows[~trained].reset_index(drop=True),
        volts=lambda part: part[names].to_numpy(float),
        encode=lambda part: torch.tensor(part[["soc", "soh"]].to_numpy(np.float32)),
        scale=SCALE,
        offset=OFFSET,
        train_soc=list(TRAIN_SOC),
        seed=seed,
    )


class Knowing(nn.Module):
    """The law of `table` in scaled space; `off` is what it adds to the SOC it is asked for, `noise_V` what it believes."""

    def __init__(self, off: float = 0.0, noise_V: float = NOISE_V, has_density: bool = True) -> None:
        super().__init__()
        self.off, self.noise_V, self.has_density = off, noise_V, has_density

    def moments(self, cond: Tensor, prior: str = "none") -> tuple[Tensor, Tensor]:
        soc, soh = cond.double().numpy().T
        mean = (volts_of(soc + self.off, soh) - OFFSET) / SCALE
        cov = np.diag((self.noise_V / SCALE) ** 2)
        return torch.from_numpy(mean), torch.from_numpy(np.tile(cov, (len(cond), 1, 1)))

    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None, prior: str = "none") -> Tensor:
        mean, cov = self.moments(cond)
        noise = torch.randn(n, *mean.shape, generator=generator, dtype=torch.float64)
        return mean + noise * cov.diagonal(dim1=1, dim2=2).sqrt()
