"""RCVAE as published (papers/rcvae_charging_data.txt): a label-embedding conditional VAE of fully connected layers."""

from typing import Literal

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError, DataError
from batgen.models.base import Batch, DataShape
from batgen.models.layers.draw import normal, permutation
from batgen.models.layers.mlp import activation_layer, linear
from batgen.models.layers.nearest import nearest_label

LossReading = Literal["mean_sum", "sum_sum", "mean_mean"]
NoEmbedding = Literal["none", "index", "raw"]
LatentChoice = Literal["mean", "sample", "prior", "permuted"]


class RCVAE(nn.Module):
    """Encoder and decoder of `layers` numbered fully connected layers each, conditioned on an embedded label.

    A label is a unique (EOL, ECL) of the training set (eqs. 2-5); at any time a pair of conditions stands for the
    nearest one, eq. 14 with `label_weight`. Layers, for `remove`:

    - encoder_1: concat(V, x) -> hidden (eq. 6); encoder_2 .. encoder_<layers>: hidden -> hidden; each is followed by
      the activation (eqs. 9-10), and two unnumbered linear heads give mu and log sigma^2 (eqs. 7-8).
    - decoder_1: concat(z, V) -> hidden (eq. 12); decoder_2 .. decoder_<layers - 1>: hidden -> hidden; each with the
      activation; decoder_<layers>: hidden -> x, linear (eq. 13).

    A removed layer is skipped, its weights drawn all the same: the others begin as in the whole network of the same seed.
    (Whichever square layer of a side is gone, what is left has one and the same shape: the rows of the paper's ablation
    differ by their random beginnings.) Only square ones can go: all but encoder_1 and decoder_<layers>, and decoder_1 where
    latent + embedding = hidden (39 + 473 = 512 by default, which is why the paper could remove it).
    `remove="embedding"` leaves no label vector V; the paper does not say what the network gets instead: nothing
    (`no_embedding="none"`), the label's index scaled to 0..1 ("index"), or EOL and ECL scaled to 0..1 ("raw").

    `loss_reading` (eqs. 15-17 leave open what K counts), all averaged over the batch, KL weighted by `beta`:
    mean_sum: MSE over elements + KL summed over the latent; sum_sum: squared error summed over elements + summed KL;
    mean_mean: both means.

    Published without width, latent size, activation or normalisation: widths as above, gelu, none. Raises ConfigError
    for settings that cannot be built, DataError in `fit` for labels that are not finite.
    """

    ACCEPTS = ("curves",)
    REQUIRES = ("eol", "ecl")
    #: What trains many of them in one step.
    STACK = "batgen.models.rcvae_stack.RCVAEStack"

    labels: Tensor
    beta: float | Tensor

    def __init__(
        self,
        shape: DataShape,
        *,
        hidden: int = 512,
        latent: int = 39,
        embedding: int = 473,
        layers: int = 16,
        activation: str = "gelu",
        label_weight: float = 0.5,
        loss_reading: LossReading = "mean_sum",
        beta: float = 1.0,
        remove: str | None = None,
        no_embedding: NoEmbedding = "none",
    ) -> None:
        super().__init__()
        if loss_reading not in ("mean_sum", "sum_sum", "mean_mean"):
            raise ConfigError(f"model.loss_reading={loss_reading!r} is unknown; choose mean_sum, sum_sum or mean_mean.")
        if no_embedding not in ("none", "index", "raw"):
            raise ConfigError(f"model.no_embedding={no_embedding!r} is unknown; choose none, index or raw.")
        if not 0.0 <= label_weight <= 1.0:
            raise ConfigError(f"model.label_weight={label_weight} must lie between 0 and 1.")
        if layers < 2:
            raise ConfigError(f"model.layers={layers} must be at least 2.")
        missing = [name for name in self.REQUIRES if name not in shape.cond_names]
        if missing:
            raise ConfigError(f"model=rcvae needs the conditions eol and ecl; data.conditions lacks {missing}.")
        self.shape = shape
        self.label_columns = [shape.cond_names.index(name) for name in self.REQUIRES]
        self.latent = latent
        self.label_weight = label_weight
        self.loss_reading = loss_reading
        self.beta = beta
        self.no_embedding = no_embedding if remove == "embedding" else None

        label_size = {None: embedding, "none": 0, "index": 1, "raw": 2}[self.no_embedding]
        removable = [f"encoder_{i}" for i in range(2, layers + 1)] + [f"decoder_{i}" for i in range(2, layers)]
        if latent + label_size == hidden:
            removable.append("decoder_1")
        if remove not in (None, "embedding", *removable):
            raise ConfigError(
                f"model.remove={remove!r} cannot be removed; choose null, embedding, encoder_2..encoder_{layers}, "
                f"decoder_2..decoder_{layers - 1}, or decoder_1 where model.latent + model.embedding = model.hidden "
                f"(here {latent} + {label_size} and {hidden}); the first encoder and last decoder layer are not square."
            )

        def numbered(side: str, sizes: list[int], last_is_linear: bool) -> nn.ModuleDict:
            stack = nn.ModuleDict()
            for i in range(1, layers + 1):
                follows = None if last_is_linear and i == layers else activation
                drawn = linear(sizes[i - 1], sizes[i], follows)
                if f"{side}_{i}" != remove:
                    stack[f"{side}_{i}"] = drawn
            return stack

        self.activation = activation_layer(activation)
        self.encoder = numbered("encoder", [label_size + shape.x_size] + [hidden] * layers, False)
        self.head_mean = linear(hidden, latent, None)
        self.head_log_variance = linear(hidden, latent, None)
        self.decoder = numbered("decoder", [latent + label_size] + [hidden] * (layers - 1) + [shape.x_size], True)
        # Sizes of these two are known to fit() only: one row a label of the training set.
        self.register_buffer("labels", torch.empty(0, 2))
        self.embedding = nn.Parameter(torch.empty(0, embedding)) if self.no_embedding is None else None

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Make the table of unique training labels (L, 2) and, with an embedding, its L trainable rows."""
        pairs = cond[:, self.label_columns]
        if not bool(torch.isfinite(pairs).all()):
            raise DataError(
                "model=rcvae needs a finite eol and ecl for every training sample; use data.censored=drop, "
                "data.censored=last_record, or model=rcvae_continuous."
            )
        self.labels = torch.unique(pairs, dim=0)
        if self.embedding is not None:
            rows = torch.randn(len(self.labels), self.embedding.shape[1], device=pairs.device)
            self.embedding = nn.Parameter(rows.to(x.dtype))

    def label_index(self, cond: Tensor) -> Tensor:
        """(B,) row of the label table that stands for each cond (B, C): eq. 14."""
        return nearest_label(cond[:, self.label_columns], self.labels, self.label_weight)

    def placed(self, cond: Tensor) -> Tensor:
        """(B,) row of the embedding for each cond (B, C), or (B, D) what `no_embedding` says: all but what is trained."""
        if self.no_embedding == "none":
            return cond.new_empty(len(cond), 0)
        if self.no_embedding == "raw":
            low, high = self.labels.amin(0), self.labels.amax(0)
            return (cond[:, self.label_columns] - low) / (high - low).clamp_min(1e-6)
        index = self.label_index(cond)
        if self.no_embedding == "index":
            return index[:, None].to(cond.dtype) / max(1, len(self.labels) - 1)
        return index

    def told(self, placed: Tensor) -> Tensor:
        """(B, D) what the networks are told of labels: V(y) of eq. 5, or what `no_embedding` says."""
        return placed if self.embedding is None else self.embedding[placed]

    def label_vector(self, cond: Tensor) -> Tensor:
        """(B, D) what the networks are told of the labels that stand for cond (B, C)."""
        return self.told(self.placed(cond))

    def through(self, layer: nn.Module, h: Tensor) -> Tensor:
        """One numbered layer and the activation behind it."""
        return self.activation(layer(h))

    def encode(self, x: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2, each (B, latent), from x (B, *x_shape) and label vectors (B, D)."""
        h = torch.cat([vector, x.flatten(-len(self.shape.x_shape))], -1)
        for layer in self.encoder.values():
            h = self.through(layer, h)
        return self.head_mean(h), self.head_log_variance(h).clamp(-20.0, 20.0)

    def decode(self, z: Tensor, vector: Tensor) -> Tensor:
        """(B, *x_shape) from z (B, latent) and label vectors (B, D)."""
        h = torch.cat([z, vector], -1)
        *inner, last = self.decoder.values()
        for layer in inner:
            h = self.through(layer, h)
        return last(h).unflatten(-1, self.shape.x_shape)

    def draw_noise(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """(B, latent): what one step of training draws for these rows, from the global generator or this one."""
        return torch.randn(len(batch.x), self.latent, generator=generator, device=batch.x.device)

    def loss(self, batch: Batch, noise: Tensor | None = None) -> dict[str, Tensor]:
        """`loss` as `loss_reading` says, and its parts: `mse` per element, `kl` in nats summed over the latent.

        noise: of `draw_noise`, drawn here where none is given.
        """
        noise = self.draw_noise(batch) if noise is None else noise
        vector = self.label_vector(batch.cond)
        rows = self.row_losses(batch.x, vector, self.encode(batch.x, vector), noise)
        return {name: value.mean() for name, value in rows.items()}

    def row_losses(
        self, x: Tensor, vector: Tensor, posterior: tuple[Tensor, Tensor], noise: Tensor
    ) -> dict[str, Tensor]:
        """The same for each row, (B,): from x (B, *x_shape), label vectors (B, D), what `encode` makes of them, and noise."""
        mean, log_variance = posterior
        z = mean + noise * (0.5 * log_variance).exp()
        error = (x - self.decode(z, vector)).square().flatten(-len(self.shape.x_shape))
        return vae_losses(error, mean, log_variance, self.loss_reading, self.beta)

    def posterior(self, x: Tensor, cond: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2 of q(z | x, y), each (B, latent)."""
        return self.encode(x, self.label_vector(cond))

    @torch.no_grad()
    def reconstruct(
        self,
        x: Tensor,
        cond: Tensor,
        cell: Tensor,
        z: LatentChoice = "mean",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """(B, *x_shape) with z the posterior mean, a posterior sample, from the prior, or permuted over the batch."""
        vector = self.label_vector(cond)
        mean, log_variance = self.encode(x, vector)
        return self.decode(choose_latent(z, mean, log_variance, generator), vector)

    @torch.no_grad()
    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled: z from the prior N(0, 1), conditions (B, C) in physical units."""
        vector = self.label_vector(cond)
        z = normal((n, len(cond), self.latent), vector, generator)
        rows = self.decode(z.flatten(0, 1), vector.expand(n, *vector.shape).flatten(0, 1))
        return rows.unflatten(0, (n, len(cond)))


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) by dimension, in nats (eq. 16)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def vae_losses(
    error: Tensor, mean: Tensor, log_variance: Tensor, reading: LossReading, beta: float | Tensor
) -> dict[str, Tensor]:
    """Eq. 17 in one of its readings, (B,), from squared errors (B, P) and the posterior (B, J); see `RCVAE`."""
    kl = gaussian_kl(mean, log_variance)
    total, mean_error = kl.sum(-1), error.mean(-1)
    fit = error.sum(-1) if reading == "sum_sum" else mean_error
    penalty = kl.mean(-1) if reading == "mean_mean" else total
    return {"loss": fit + beta * penalty, "mse": mean_error, "kl": total}


def choose_latent(z: LatentChoice, mean: Tensor, log_variance: Tensor, generator: torch.Generator | None) -> Tensor:
    """(B, J) latents for a reconstruction; "permuted" deals the posterior means out anew."""
    if z == "mean":
        return mean
    if z == "permuted":
        return mean[permutation(len(mean), mean, generator)]
    noise = normal(tuple(mean.shape), mean, generator)
    if z == "prior":
        return noise
    if z == "sample":
        return mean + noise * (0.5 * log_variance).exp()
    raise ValueError(f"z={z!r} is none of mean, sample, prior, permuted")
