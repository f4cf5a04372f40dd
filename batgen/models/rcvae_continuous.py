"""The honest RCVAE: continuous conditions, a latent of the cell shared by its cycles, and no collapse."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import Batch, DataShape
from batgen.models.layers.cell_process import CellProcess
from batgen.models.layers.conditions import Features
from batgen.models.layers.draw import normal, permutation
from batgen.models.layers.mlp import mlp
from batgen.models.layers.pca import principal_components
from batgen.models.layers.two_level import two_level
from batgen.models.rcvae import LatentChoice, gaussian_kl


class RCVAEContinuous(nn.Module):
    """A hierarchical conditional VAE on the coefficients of a fixed basis of curves.

        x = centre + basis (m(c) + s(c) (A z + f(z, w, c)) + r (B w + d e)) + noise,      z, w, e ~ N(0, 1)

    z (`cell_latent`) belongs to a cell and is shared by all its cycles, w (`cycle_latent`) to one cycle. m(c) is the
    regression of `CellProcess` on the conditions and s(c)^2 the variance of cells about it, the uncertainty of m(c)
    included; r that of cycles within a cell. In training both leave out the cell of the sample, so that the latents
    learn the residuals of cells that the regression has not seen: the spread of generated curves is that of new cells.
    The posterior of z is a product of one factor for each of the cell's samples in the batch and the prior (eq. of
    Bouchacourt et al. 2018, ML-VAE), so the KL of a cell is paid once, not once a cycle.

    The noise scale is learnt (sigma-VAE, Rybkin et al. 2021), and A, B, d and both posteriors start at the closed-form
    Gaussian solution, so nothing has to be annealed for the latents to be used; `hidden`-wide networks f and the
    encoder, zero at first, learn what is not linear. `components` basis curves, `anchors` training samples in the
    regression.

    Conditions may be any; raises ConfigError for sizes below 1 or no condition at all.
    """

    ACCEPTS = ("curves",)
    REQUIRES = ()

    centre: Tensor
    basis: Tensor
    noise: Tensor
    cycle_scale: Tensor

    def __init__(
        self,
        shape: DataShape,
        *,
        components: int = 10,
        anchors: int = 300,
        cell_latent: int = 8,
        cycle_latent: int = 4,
        hidden: int = 64,
        activation: str = "silu",
        dropout: float = 0.0,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        sizes = {"components": components, "anchors": anchors, "cell_latent": cell_latent, "cycle_latent": cycle_latent}
        for key, value in {**sizes, "hidden": hidden}.items():
            if value < 1:
                raise ConfigError(f"model.{key}={value} must be at least 1.")
        if not shape.cond_names:
            raise ConfigError("model=rcvae_continuous needs at least one condition; data.conditions is empty.")
        self.shape = shape
        self.per_slice = min(components, shape.x_size // len(shape.slices))
        self.components = self.per_slice * len(shape.slices)
        self.cell_latent = min(cell_latent, self.components)
        self.cycle_latent = min(cycle_latent, self.components)
        self.beta = beta
        latent = self.cell_latent + self.cycle_latent
        self.features = Features(shape.cond_names)
        self.regression = CellProcess(anchors, self.features.group)
        self.encoder = mlp([self.components + self.features.size, hidden, hidden, 2 * latent], activation, dropout)
        self.decoder = mlp([latent + self.features.size, hidden, hidden, self.components], activation, dropout)
        for network in (self.encoder, self.decoder):
            nn.init.zeros_(network[-1].weight)  # type: ignore[arg-type]
        self.cell_loading = nn.Parameter(torch.zeros(self.components, self.cell_latent))
        self.cell_gain = nn.Parameter(torch.zeros(self.cell_latent, self.components))
        self.cell_log_precision = nn.Parameter(torch.zeros(self.cell_latent))
        self.cycle_loading = nn.Parameter(torch.zeros(self.components, self.cycle_latent))
        self.cycle_gain = nn.Parameter(torch.zeros(self.cycle_latent, self.components))
        self.cycle_log_precision = nn.Parameter(torch.zeros(self.cycle_latent))
        self.log_noise = nn.Parameter(torch.zeros(self.components))
        self.register_buffer("centre", torch.zeros(shape.x_size))
        self.register_buffer("basis", torch.zeros(self.components, shape.x_size))
        self.register_buffer("noise", torch.zeros(shape.x_size))
        self.register_buffer("cycle_scale", torch.ones(self.components))

    @torch.no_grad()
    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Basis, regression and the Gaussian start from x (N, *x_shape), cond (N, C) in physical units, cell (N,)."""
        flat = x.flatten(1)
        self.centre = flat.mean(0)
        self.basis = torch.zeros_like(self.basis, device=x.device)
        points = flat.shape[1] // len(self.shape.slices)
        for i in range(len(self.shape.slices)):
            columns = slice(i * points, (i + 1) * points)
            basis = principal_components(flat[:, columns], self.per_slice)[1]
            # Fewer samples than components leave the last rows zero.
            self.basis[i * self.per_slice : i * self.per_slice + len(basis), columns] = basis
        scores = self._scores(x)
        self.noise = (flat - self.centre - scores @ self.basis).std(0, correction=0)
        self.features.fit(cond)
        features = self.features(cond)
        names = self.shape.cond_names
        order = cond[:, names.index("ecl")] if "ecl" in names else torch.arange(len(cond), device=cond.device)
        self.regression.fit(features, scores, cell, order)
        self.cycle_scale = self.regression.effects()[1].clamp_min(1e-9).to(x.dtype)
        mean, cell_scale = self._regress(features, cell)
        start = two_level(scores - mean, cell, cell_scale, self.cycle_scale, self.cell_latent, self.cycle_latent)
        for parameter, value in (
            (self.cell_loading, start.cell_loading),
            (self.cell_gain, start.cell_gain),
            (self.cell_log_precision, start.cell_precision.log()),
            (self.cycle_loading, start.cycle_loading),
            (self.cycle_gain, start.cycle_gain),
            (self.cycle_log_precision, start.cycle_precision.log()),
            (self.log_noise, start.noise.log()),
        ):
            parameter.copy_(value)

    def _scores(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.centre) @ self.basis.T

    def _regress(self, features: Tensor, leave_out: Tensor | None) -> tuple[Tensor, Tensor]:
        """m(c) and s(c), each (B, Q); double precision inside, whatever the trainer's precision."""
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            mean, variance = self.regression(features.float(), leave_out)
            between = self.regression.effects()[0].square()
            return mean, (variance + between).sqrt().clamp_min(1e-9).to(mean.dtype)

    def _encode(
        self, residual: Tensor, scale: Tensor, features: Tensor, cell: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2, (B, Jz + Jw): z of the row's cell, pooled over the batch, then w given z.

        noise (B, Jz), equal for rows of one cell, draws the z that w is inferred with; None takes the mean.
        """
        total = (scale.square() + self.cycle_scale.square()).sqrt()
        change = self.encoder(torch.cat([residual / total, features], dim=1))
        sizes = [self.cell_latent, self.cell_latent, self.cycle_latent, self.cycle_latent]
        shift_z, tilt_z, shift_w, tilt_w = change.split(sizes, dim=1)
        factor = (residual / scale) @ self.cell_gain.T + shift_z
        precision = (self.cell_log_precision + tilt_z).clamp(-15.0, 15.0).exp()
        _, slot = cell.unique(return_inverse=True)
        empty = torch.zeros(int(slot.max()) + 1, self.cell_latent, dtype=precision.dtype, device=precision.device)
        pooled = 1.0 + empty.index_add(0, slot, precision)
        mean_z = (empty.index_add(0, slot, precision * factor) / pooled)[slot]
        log_variance_z = -pooled.log()[slot]
        z = mean_z if noise is None else mean_z + noise * (0.5 * log_variance_z).exp()
        rest = (residual - scale * (z @ self.cell_loading.T)) / self.cycle_scale
        precision_w = (self.cycle_log_precision + tilt_w).clamp(-15.0, 15.0).exp()
        mean_w = (rest @ self.cycle_gain.T) * precision_w / (1.0 + precision_w) + shift_w
        return torch.cat([mean_z, mean_w], 1), torch.cat([log_variance_z, -(1.0 + precision_w).log()], 1)

    def _decode(self, latent: Tensor, features: Tensor, scale: Tensor) -> Tensor:
        """(B, Q) mean residual coefficients of latents (B, Jz + Jw)."""
        z, w = latent.split([self.cell_latent, self.cycle_latent], dim=1)
        bend = self.decoder(torch.cat([latent, features], dim=1))
        return scale * (z @ self.cell_loading.T + bend) + self.cycle_scale * (w @ self.cycle_loading.T)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Negative ELBO per sample, in nats, of the coefficients: `nll` of the reconstruction and `kl`.

        `kl` is what `loss` pays: w once a row, z once a cell. In training mode m(c) and s(c) leave out the row's cell.
        """
        features = self.features(batch.cond)
        mean, scale = self._regress(features, batch.cell if self.training else None)
        residual = self._scores(batch.x) - mean
        _, slot, count = batch.cell.unique(return_inverse=True, return_counts=True)
        noise = torch.randn(len(count), self.cell_latent, device=residual.device)[slot]
        mu, log_variance = self._encode(residual, scale, features, batch.cell, noise)
        noise = torch.cat([noise, torch.randn(len(mu), self.cycle_latent, device=residual.device)], 1)
        latent = mu + noise * (0.5 * log_variance).exp()
        error = (residual - self._decode(latent, features, scale)) / self.cycle_scale
        # The floor keeps components that are exactly explained from drowning the rest.
        log_noise = self.log_noise.clamp_min(-5.0)
        nll = (0.5 * (error * (-log_noise).exp()).square() + log_noise).sum(1)
        kl = gaussian_kl(mu, log_variance)
        paid = kl[:, : self.cell_latent].sum(1) / count[slot] + kl[:, self.cell_latent :].sum(1)
        return {"loss": (nll + self.beta * paid).mean(), "nll": nll.mean(), "kl": paid.mean()}

    def posterior(self, x: Tensor, cond: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2, each (B, cell_latent + cycle_latent); z is pooled over the rows of one cell."""
        features = self.features(cond)
        mean, scale = self._regress(features, None)
        return self._encode(self._scores(x) - mean, scale, features, cell, None)

    @torch.no_grad()
    def reconstruct(
        self,
        x: Tensor,
        cond: Tensor,
        cell: Tensor,
        z: LatentChoice = "mean",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """(B, *x_shape), without observation noise. z: posterior mean | posterior sample | prior | permuted by cell.

        "permuted" gives every cell the z of another and every row the w of another.
        """
        features = self.features(cond)
        mean, scale = self._regress(features, None)
        mu, log_variance = self._encode(self._scores(x) - mean, scale, features, cell, None)
        _, slot, count = cell.unique(return_inverse=True, return_counts=True)
        if z == "permuted":
            first = torch.zeros_like(count).scatter_(0, slot, torch.arange(len(slot), device=slot.device))
            other = first[permutation(len(count), mu, generator)][slot]
            rows = permutation(len(mu), mu, generator)
            latent = torch.cat([mu[other, : self.cell_latent], mu[rows, self.cell_latent :]], 1)
        else:
            of_cell = normal((len(count), self.cell_latent), mu, generator)[slot]
            noise = torch.cat([of_cell, normal((len(mu), self.cycle_latent), mu, generator)], 1)
            choices = {"mean": mu, "sample": mu + noise * (0.5 * log_variance).exp(), "prior": noise}
            if z not in choices:
                raise ValueError(f"z={z!r} is none of mean, sample, prior, permuted")
            latent = choices[z]
        scores = mean + self._decode(latent, features, scale)
        return (self.centre + scores @ self.basis).unflatten(1, self.shape.x_shape)

    @torch.no_grad()
    def sample(
        self, cond: Tensor, n: int, generator: torch.Generator | None = None, *, share_latent: bool = False
    ) -> Tensor:
        """(n, B, *x_shape), scaled, from conditions (B, C) alone, observation noise included.

        share_latent=False: every row is another cell. True: draw i of all rows is one and the same cell at the
        conditions of these rows, so that rows of increasing ecl age as one cell does.
        """
        features = self.features(cond)
        mean, scale = self._regress(features, None)
        rows = len(cond)
        z = normal((n, 1 if share_latent else rows, self.cell_latent), mean, generator).expand(n, rows, -1)
        latent = torch.cat([z, normal((n, rows, self.cycle_latent), mean, generator)], 2).flatten(0, 1)
        spread = self._decode(latent, features.repeat(n, 1), scale.repeat(n, 1)).unflatten(0, (n, rows))
        noise = self.cycle_scale * self.log_noise.clamp_min(-5.0).exp()
        scores = mean + spread + noise * normal((n, rows, self.components), mean, generator)
        curves = self.centre + scores @ self.basis + self.noise * normal((n, rows, len(self.noise)), mean, generator)
        return curves.unflatten(2, self.shape.x_shape)
