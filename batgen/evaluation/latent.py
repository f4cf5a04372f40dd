"""Does an autoencoder's latent carry anything? Diagnostics of posterior collapse.

The errors of reconstructions with z from the posterior, from the prior, and permuted across the batch are ordinary
reconstruction errors of arrays that the caller makes; if the three agree, the decoder ignores z.
"""

from dataclasses import dataclass

import numpy as np

#: Variance over the data set above which a latent unit counts as active (Burda et al. 2016).
ACTIVE = 0.01


@dataclass(frozen=True)
class Latent:
    """What `latent_diagnostics` found, for L latent units.

    kl_nats: mean KL per sample, all units together; kl_per_unit (L,): its parts; active_units: how many of the L units
    are active; variance_per_unit (L,): variance over samples of the posterior mean.
    """

    kl_nats: float
    kl_per_unit: np.ndarray
    active_units: int
    variance_per_unit: np.ndarray


def latent_diagnostics(mu: np.ndarray, logvar: np.ndarray) -> Latent:
    """Diagnostics from the posterior's means and log-variances, (N, L) each, against the prior N(0, 1).

    KL of a unit = mean over samples of -1/2 (1 + log s^2 - mu^2 - s^2), in nats (RCVAE paper, eq. 16): 0 is collapse,
    and more is not better as such. Active units: those with Var_x(E[z|x]) > 0.01 (Burda, Grosse & Salakhutdinov 2016,
    "Importance weighted autoencoders"). In a conditional model the mean may also vary with the condition
    alone, so a unit can be active and useless: the error with permuted z tells. Raises ValueError on other shapes.
    """
    if mu.ndim != 2 or mu.shape != logvar.shape or not len(mu):
        raise ValueError(f"need mu and logvar (N, L) with N > 0, got {mu.shape} and {logvar.shape}")
    mean, logv = mu.astype(np.float64), logvar.astype(np.float64)
    kl = -0.5 * (1.0 + logv - mean**2 - np.exp(logv)).mean(axis=0)
    variance = mean.var(axis=0)
    return Latent(float(kl.sum()), kl, int((variance > ACTIVE).sum()), variance)
