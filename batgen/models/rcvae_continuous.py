"""The honest RCVAE: continuous conditions, a latent of the cell shared by its cycles, and no collapse."""

import math

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import Batch, DataShape
from batgen.models.layers.cell_latents import CellLatents
from batgen.models.layers.cell_process import CellProcess
from batgen.models.layers.conditions import Features
from batgen.models.layers.draw import normal, permutation
from batgen.models.layers.pca import principal_components
from batgen.models.layers.policy_template import PolicyTemplate
from batgen.models.layers.precision import full_precision
from batgen.models.layers.row_lookup import RowLookup
from batgen.models.layers.two_level import two_level
from batgen.models.rcvae import LatentChoice, gaussian_kl

#: The signal that a charge policy commands, and the conditions that name the policy.
COMMANDED = "current_A"
POLICY = ("c1", "q1", "c2")


class RCVAEContinuous(nn.Module):
    """A hierarchical conditional VAE on the coefficients of a fixed basis of curves.

        x = centre + basis (m(c) + s(c) (A z + f(z, w, c)) + r (B w + d e)) + noise,      z, w, e ~ N(0, 1)

    z (`cell_latent`) belongs to a cell and is shared by all its cycles, w (`cycle_latent`) to one cycle (`CellLatents`).
    m(c) is the regression of `CellProcess` on the conditions and s(c)^2 the variance of cells about it, the uncertainty
    of m(c) included; r that of cycles within a cell. In training both leave out the cell of the sample, so that the
    latents learn the residuals of cells that the regression has not seen: generated curves spread as new cells do. The
    KL of a cell is paid once, not once a cycle.

    The noise scale is learnt (sigma-VAE, Rybkin et al. 2021), and A, B, d and both posteriors start at the closed-form
    Gaussian solution, so nothing has to be annealed for the latents to be used; `hidden`-wide networks learn the rest.
    The commanded current of a policy that training has seen is blended with that policy's mean (`PolicyTemplate`).
    `components`: basis curves a signal; `anchors`: training samples, at most, that the regression keeps.

    Any conditions will do; raises ConfigError for sizes below 1 or no condition at all.
    """

    ACCEPTS = ("curves",)
    REQUIRES = ()

    centre: Tensor
    basis: Tensor
    noise: Tensor
    seen_mean: Tensor
    seen_scale: Tensor

    def __init__(
        self,
        shape: DataShape,
        *,
        components: int = 32,
        anchors: int = 600,
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
        self.beta = beta
        self.points = shape.x_size // len(shape.slices)
        self.per_slice = min(components, self.points)
        outputs = self.per_slice * len(shape.slices)
        self.features = Features(shape.cond_names)
        # Components of like size share their scales: 1, 1, 2, 4, 8 ... of each slice.
        octave = [math.ceil(math.log2(i + 1)) for i in range(self.per_slice)]
        kind = [(octave[-1] + 1) * i + k for i in range(len(shape.slices)) for k in octave]
        self.regression = CellProcess(anchors, self.features.group, kind)
        self.latents = CellLatents(
            outputs,
            self.features.size,
            min(cell_latent, outputs),
            min(cycle_latent, outputs),
            hidden,
            activation,
            dropout,
        )
        self.policy = [i for i, name in enumerate(shape.cond_names) if name in POLICY]
        self.commanded = [
            i * self.points + p for i, name in enumerate(shape.slices) if name == COMMANDED for p in range(self.points)
        ]
        self.template = PolicyTemplate(len(self.policy), len(self.commanded))
        self.register_buffer("centre", torch.zeros(shape.x_size))
        self.register_buffer("basis", torch.zeros(outputs, shape.x_size))
        self.register_buffer("noise", torch.zeros(shape.x_size))
        # What the regression says of the training rows, not saved: a resumed training makes it anew.
        self.seen = RowLookup()
        self.register_buffer("seen_mean", torch.empty(0, outputs), persistent=False)
        self.register_buffer("seen_scale", torch.empty(0, outputs), persistent=False)

    @torch.no_grad()
    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Basis, regression and the Gaussian start from x (N, *x_shape), cond (N, C) in physical units, cell (N,)."""
        flat = x.flatten(1)
        self.centre = flat.mean(0)
        self.basis = torch.zeros_like(self.basis, device=x.device)
        for i in range(len(self.shape.slices)):
            columns = slice(i * self.points, (i + 1) * self.points)
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
        mean, scale = self._regress(features, cell)
        self.seen.fit(cond, cell)
        self.seen_mean, self.seen_scale = mean, scale
        held_out = (self.centre + mean @ self.basis)[:, self.commanded]
        self.template.fit(cond[:, self.policy], flat[:, self.commanded], held_out, cell)
        cycle_scale = self.regression.effects()[1].clamp_min(1e-9).to(x.dtype)
        start = two_level(scores - mean, cell, scale, cycle_scale, self.latents.cell, self.latents.cycle)
        self.latents.start(start, cycle_scale)

    def _scores(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.centre) @ self.basis.T

    @torch.no_grad()
    def _regress(self, features: Tensor, leave_out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """m(c) and s(c), each (B, Q)."""
        mean, variance = self.regression(features, leave_out)
        between = self.regression.effects()[0].square()
        return mean, (variance + between).sqrt().clamp_min(1e-9).to(mean.dtype)

    def _held_out(self, cond: Tensor, cell: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """`_regress` without each row's cell: looked up where `fit` has seen the rows, as the regression is slow."""
        row = self.seen(cond, cell)
        return self._regress(features, cell) if row is None else (self.seen_mean[row], self.seen_scale[row])

    def _curves(self, cond: Tensor, mean: Tensor, residual: Tensor) -> Tensor:
        """(..., B, *x_shape) from coefficients of the mean (B, Q) and residual curves (..., B, P)."""
        middle = self.centre + mean @ self.basis
        curves = middle + residual
        if self.commanded:
            own = (cond[:, self.policy], middle[:, self.commanded], residual[..., self.commanded])
            curves[..., self.commanded] = self.template(*own)
        return curves.unflatten(-1, self.shape.x_shape)

    def draw_noise(self, batch: Batch) -> Tensor:
        """(B, cell_latent + cycle_latent): what one step of training draws; rows of one cell share the first part."""
        _, slot = batch.cell.unique(return_inverse=True)
        of_cells = torch.randn(int(slot.max()) + 1, self.latents.cell, device=batch.x.device)[slot]
        return torch.cat([of_cells, torch.randn(len(batch.x), self.latents.cycle, device=batch.x.device)], 1)

    @full_precision
    def loss(self, batch: Batch, noise: Tensor | None = None) -> dict[str, Tensor]:
        """Negative ELBO per sample, in nats, of the coefficients: `nll` of the reconstruction and `kl`.

        `kl` is what `loss` pays: w once a row, z once a cell. In training mode m(c) and s(c) leave out the row's cell.
        noise: of `draw_noise`, drawn here where none is given. The mean is over rows, and a row's term depends on no other
        rows but those of its cell.
        """
        noise = self.draw_noise(batch) if noise is None else noise
        features = self.features(batch.cond)
        if self.training:
            mean, scale = self._held_out(batch.cond, batch.cell, features)
        else:
            mean, scale = self._regress(features)
        residual = self._scores(batch.x) - mean
        _, slot, count = batch.cell.unique(return_inverse=True, return_counts=True)
        of_cells = noise[:, : self.latents.cell]
        mu, log_variance = self.latents.encode(residual, scale, features, batch.cell, of_cells)
        latent = mu + noise * (0.5 * log_variance).exp()
        error = (residual - self.latents.decode(latent, features, scale)) / self.latents.cycle_scale
        sigma = self.latents.noise()
        nll = (0.5 * (error / sigma).square() + sigma.log()).sum(1)
        kl = gaussian_kl(mu, log_variance)
        paid = kl[:, : self.latents.cell].sum(1) / count[slot] + kl[:, self.latents.cell :].sum(1)
        return {"loss": (nll + self.beta * paid).mean(), "nll": nll.mean(), "kl": paid.mean()}

    @full_precision
    def posterior(self, x: Tensor, cond: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2, each (B, cell_latent + cycle_latent); z is pooled over the rows of one cell."""
        features = self.features(cond)
        mean, scale = self._regress(features)
        return self.latents.encode(self._scores(x) - mean, scale, features, cell)

    @torch.no_grad()
    @full_precision
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
        mean, scale = self._regress(features)
        mu, log_variance = self.latents.encode(self._scores(x) - mean, scale, features, cell)
        _, slot, count = cell.unique(return_inverse=True, return_counts=True)
        if z == "permuted":
            first = torch.zeros_like(count).scatter_(0, slot, torch.arange(len(slot), device=slot.device))
            other = first[permutation(len(count), mu, generator)][slot]
            rows = permutation(len(mu), mu, generator)
            latent = torch.cat([mu[other, : self.latents.cell], mu[rows, self.latents.cell :]], 1)
        else:
            of_cell = normal((len(count), self.latents.cell), mu, generator)[slot]
            noise = torch.cat([of_cell, normal((len(mu), self.latents.cycle), mu, generator)], 1)
            choices = {"mean": mu, "sample": mu + noise * (0.5 * log_variance).exp(), "prior": noise}
            if z not in choices:
                raise ValueError(f"z={z!r} is none of mean, sample, prior, permuted")
            latent = choices[z]
        return self._curves(cond, mean, self.latents.decode(latent, features, scale) @ self.basis)

    @torch.no_grad()
    @full_precision
    def sample(
        self, cond: Tensor, n: int, generator: torch.Generator | None = None, *, share_latent: bool = False
    ) -> Tensor:
        """(n, B, *x_shape), scaled, from conditions (B, C) alone, observation noise included.

        share_latent=False: every row is another cell. True: draw i of all rows is one and the same cell at the
        conditions of these rows, so that rows of increasing ecl age as one cell does.
        """
        features = self.features(cond)
        mean, scale = self._regress(features)
        rows, outputs = mean.shape
        z = normal((n, 1 if share_latent else rows, self.latents.cell), mean, generator).expand(n, rows, -1)
        latent = torch.cat([z, normal((n, rows, self.latents.cycle), mean, generator)], 2).flatten(0, 1)
        spread = self.latents.decode(latent, features.repeat(n, 1), scale.repeat(n, 1)).unflatten(0, (n, rows))
        noise = self.latents.cycle_scale * self.latents.noise() * normal((n, rows, outputs), mean, generator)
        residual = (spread + noise) @ self.basis + self.noise * normal((n, rows, len(self.noise)), mean, generator)
        return self._curves(cond, mean, residual)
