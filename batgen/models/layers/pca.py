"""Principal components, deterministic down to the sign."""

import torch
from torch import Tensor


def principal_components(x: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The mean (P,) and the first `rank` components (rank', P) of x (N, P), orthonormal rows, largest variance first.

    rank' = min(rank, N - 1, P, number of components with any variance). Solved on the smaller of the two Gram
    matrices in double precision: no random projection, so equal data give equal components.
    """
    mean = x.double().mean(0)
    centred = x.double() - mean
    if x.shape[0] <= x.shape[1]:
        variance, vectors = torch.linalg.eigh(centred @ centred.T)
        basis = vectors.T @ centred
    else:
        variance, vectors = torch.linalg.eigh(centred.T @ centred)
        basis = vectors.T
    order = torch.arange(len(variance) - 1, -1, -1, device=x.device)
    variance, basis = variance[order], basis[order]
    kept = int((variance > 1e-12 * variance[0].clamp_min(1e-300)).sum())
    basis = basis[: max(1, min(rank, x.shape[0] - 1, x.shape[1], kept))]
    basis = torch.nn.functional.normalize(basis, dim=1)
    peak = basis.gather(1, basis.abs().argmax(1, keepdim=True))
    return mean.to(x.dtype), (basis * peak.sign()).to(x.dtype)
