"""The latents of a cell and of its cycles: decoder, and a posterior that pools the cycles of a cell."""

import torch
from torch import Tensor, nn

from batgen.models.layers.mlp import mlp
from batgen.models.layers.two_level import TwoLevel


class CellLatents(nn.Module):
    """residual = s (A z + f(z, w, c)) + r (B w + d e), with z ~ N(0, 1) a cell, w, e ~ N(0, 1) a cycle.

    Shapes: residual coefficients (B, Q), scale s (B, Q), cycle_scale r (Q,), features c (B, F). The posterior of z is the
    prior times one Gaussian factor for each row of the cell (products of experts as in ML-VAE, Bouchacourt et al. 2018);
    that of w is taken given z. Linear parts are set by `start`; the networks add to them and are zero at first.
    """

    cycle_scale: Tensor

    def __init__(
        self, outputs: int, features: int, cell: int, cycle: int, hidden: int, activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.cell, self.cycle = cell, cycle
        self.encoder = mlp([outputs + features, hidden, hidden, 2 * (cell + cycle)], activation, dropout)
        self.decoder = mlp([cell + cycle + features, hidden, hidden, outputs], activation, dropout)
        for network in (self.encoder, self.decoder):
            nn.init.zeros_(network[-1].weight)  # type: ignore[arg-type]
        self.cell_loading = nn.Parameter(torch.zeros(outputs, cell))
        self.cell_gain = nn.Parameter(torch.zeros(cell, outputs))
        self.cell_log_precision = nn.Parameter(torch.zeros(cell))
        self.cycle_loading = nn.Parameter(torch.zeros(outputs, cycle))
        self.cycle_gain = nn.Parameter(torch.zeros(cycle, outputs))
        self.cycle_log_precision = nn.Parameter(torch.zeros(cycle))
        self.log_noise = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("cycle_scale", torch.ones(outputs))

    @torch.no_grad()
    def start(self, values: TwoLevel, cycle_scale: Tensor) -> None:
        """Take the Gaussian solution: exact posteriors, and an ELBO that only what is not Gaussian can raise."""
        self.cycle_scale = cycle_scale
        self.cell_loading.copy_(values.cell_loading)
        self.cell_gain.copy_(values.cell_gain)
        self.cell_log_precision.copy_(values.cell_precision.log())
        self.cycle_loading.copy_(values.cycle_loading)
        self.cycle_gain.copy_(values.cycle_gain)
        self.cycle_log_precision.copy_(values.cycle_precision.log())
        self.log_noise.copy_(values.noise.log())

    def encode(
        self, residual: Tensor, scale: Tensor, features: Tensor, cell: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2 (B, Jz + Jw): z of the row's cell, pooled over the rows given, then w given z.

        noise (B, Jz), equal for rows of one cell, draws the z that w is inferred with; None takes the mean.
        """
        total = (scale.square() + self.cycle_scale.square()).sqrt()
        change = self.encoder(torch.cat([residual / total, features], dim=1))
        shift_z, tilt_z, shift_w, tilt_w = change.split([self.cell, self.cell, self.cycle, self.cycle], dim=1)
        factor = (residual / scale) @ self.cell_gain.T + shift_z
        precision = (self.cell_log_precision + tilt_z).clamp(-15.0, 15.0).exp()
        names, slot = cell.unique(return_inverse=True)
        nothing = torch.zeros(len(names), self.cell, dtype=precision.dtype, device=precision.device)
        pooled = 1.0 + nothing.index_add(0, slot, precision)
        mean_z = (nothing.index_add(0, slot, precision * factor) / pooled)[slot]
        log_variance_z = -pooled.log()[slot]
        z = mean_z if noise is None else mean_z + noise * (0.5 * log_variance_z).exp()
        rest = (residual - scale * (z @ self.cell_loading.T)) / self.cycle_scale
        precision_w = (self.cycle_log_precision + tilt_w).clamp(-15.0, 15.0).exp()
        mean_w = (rest @ self.cycle_gain.T) * precision_w / (1.0 + precision_w) + shift_w
        return torch.cat([mean_z, mean_w], 1), torch.cat([log_variance_z, -(1.0 + precision_w).log()], 1)

    def decode(self, latent: Tensor, features: Tensor, scale: Tensor) -> Tensor:
        """(B, Q) residual of latents (B, Jz + Jw), without the noise e."""
        z, w = latent.split([self.cell, self.cycle], dim=1)
        bend = self.decoder(torch.cat([latent, features], dim=1))
        return scale * (z @ self.cell_loading.T + bend) + self.cycle_scale * (w @ self.cycle_loading.T)

    def noise(self) -> Tensor:
        """(Q,) standard deviation of e in units of cycle_scale; the floor keeps what is exactly explained in bounds."""
        return self.log_noise.clamp_min(-5.0).exp()
