"""Every model at a size that a test can pay, and a small planted data set for it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from batgen.models.base import Batch, DataShape
from batgen.models.cgan import CGAN
from batgen.models.knn import NearestNeighbours
from batgen.models.mean_curve import MeanCurve
from batgen.models.nearest_copy import NearestCopy
from batgen.models.pca_gaussian import PcaGaussian
from batgen.models.pointwise_ridge import PointwiseRidge
from batgen.models.protocol_mean import ProtocolMean
from batgen.models.rcvae import RCVAE
from batgen.models.rcvae_continuous import RCVAEContinuous
from batgen.models.wgan_gp import WganGp

COND = ("eol", "ecl", "c1", "q1", "c2")
SHAPE = DataShape((2, 12), ("voltage_V", "temperature_degC"), COND)

SMALL: dict[str, Callable[[DataShape], nn.Module]] = {
    "nearest_copy": NearestCopy,
    "nearest_copy_label": lambda shape: NearestCopy(shape, metric="label"),
    "mean_curve": MeanCurve,
    "knn": lambda shape: NearestNeighbours(shape, neighbours=3),
    "pointwise_ridge": PointwiseRidge,
    "pca_gaussian": lambda shape: PcaGaussian(shape, components=4),
    "pca_ridge": lambda shape: PcaGaussian(shape, components=4, noise=False),
    "protocol_mean": lambda shape: ProtocolMean(shape, by_cycle=False),
    "protocol_cycle_mean": ProtocolMean,
    "vanilla_gan": lambda shape: CGAN(shape, conditional=False, noise=4, hidden=8),
    "cgan": lambda shape: CGAN(shape, noise=4, hidden=8),
    "wgan_gp": lambda shape: WganGp(shape, noise=4, hidden=8, critic_hidden=8),
    "rcvae": lambda shape: RCVAE(shape, hidden=16, latent=4, embedding=12, layers=3),
    "rcvae_without_embedding": lambda shape: RCVAE(shape, hidden=16, latent=4, layers=3, remove="embedding"),
    "rcvae_continuous": lambda shape: RCVAEContinuous(
        shape, components=4, anchors=24, cell_latent=2, cycle_latent=2, hidden=8
    ),
}


def planted(seed: int = 0, cells: int = 12, cycles: int = 8, shape: DataShape = SHAPE) -> Batch:
    """Curves that depend on the conditions, with an effect of the cell and one of the cycle."""
    g = torch.Generator().manual_seed(seed)
    eol = torch.randint(300, 2000, (cells,), generator=g).float().repeat_interleave(cycles)
    ecl = torch.arange(1, cycles + 1).float().repeat(cells)
    policy = torch.rand(cells, 3, generator=g).repeat_interleave(cycles, 0)
    columns = {"eol": eol, "ecl": ecl, "c1": 3 + 3 * policy[:, 0], "q1": policy[:, 1] * 0.8, "c2": 3 + policy[:, 2]}
    cond = torch.stack([columns[name] for name in shape.cond_names], 1)
    cell = torch.arange(cells).repeat_interleave(cycles)
    grid = torch.linspace(0, 1, shape.x_size)
    of_cell = torch.randn(cells, 2, generator=g)[cell]
    mean = (eol.log() - 6.5)[:, None] * grid + (ecl / eol)[:, None] * (1 - grid)
    spread = 0.3 * of_cell[:, :1] * torch.sin(3 * grid) + 0.2 * of_cell[:, 1:] * torch.cos(5 * grid)
    noise = 0.05 * torch.randn(len(cond), 1, generator=g) * grid + 0.01 * torch.randn(len(cond), len(grid), generator=g)
    return Batch((mean + spread + noise).unflatten(1, shape.x_shape), cond, cell)


def fitted(build: Callable[[DataShape], nn.Module], data: Batch, shape: DataShape = SHAPE) -> nn.Module:
    torch.manual_seed(0)
    model = build(shape)
    model.fit(*data)  # type: ignore[operator]
    return model.eval()


def drawn(model: nn.Module, cond: Tensor, n: int, seed: int = 0) -> Tensor:
    return model.sample(cond, n, torch.Generator().manual_seed(seed))  # type: ignore[operator]
