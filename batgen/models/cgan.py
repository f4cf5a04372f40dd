"""The GANs of the slides: with conditions (cgan) and without (vanilla_gan), trained by binary cross-entropy."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from batgen.errors import ConfigError
from batgen.models.base import DataShape, ProfileBatch
from batgen.models.layers.gan_sides import Conditioner, draw_profiles, within
from batgen.models.layers.profile_critics import SlidesDiscriminator
from batgen.models.layers.profile_generators import profile_generator


class CGAN(nn.Module):
    """Generator and discriminator of C. Ounoughi's slides ("GANs for battery data", TalTech), losses after Goodfellow 2014.

    Discriminator: -log D(x, c) - log(1 - D(G(z, c), c)); generator: -log D(G(z, c), c), the form that does not saturate
    (the slides minimise log(1 - D), whose gradient vanishes when D is sure). Departures from the published example: profiles
    are scaled per signal and not per time step, the log-duration is generated beside them, and D gives logits.

    Args:
        conditional: false gives the vanilla GAN, which sees noise alone.
        noise: length of z. hidden: units of the generator. generator: lstm | conv. step_noise: fresh noise a step.
        projection: the discriminator also multiplies features and conditions (Miyato & Koyama 2018).
        jitter: noise on the conditions in training, in standard deviations.
        critic_steps: discriminator steps a generator step.
    """

    ACCEPTS = ("profiles",)
    REQUIRES = ()

    def __init__(
        self,
        shape: DataShape,
        *,
        conditional: bool = True,
        noise: int = 16,
        hidden: int = 64,
        generator: str = "lstm",
        step_noise: int = 0,
        projection: bool = False,
        jitter: float = 0.0,
        critic_steps: int = 1,
    ) -> None:
        super().__init__()
        for key, value in (("noise", noise), ("hidden", hidden), ("critic_steps", critic_steps)):
            if value < 1:
                raise ConfigError(f"model.{key}={value} must be at least 1.")
        if projection and not conditional:
            raise ConfigError(
                "model.projection=true needs conditions. Set model.conditional=true, or projection=false."
            )
        self.shape, self.noise, self.critic_steps = shape, noise, critic_steps
        self.title = "cgan" if conditional else "vanilla_gan"
        used = len(shape.cond_names) if conditional else 0
        channels, points = shape.x_shape
        self.conditioner = Conditioner(shape, jitter)
        self._used = used
        self.generator = profile_generator(generator, used + noise, channels - 1, points, hidden, step_noise)
        self.critic = SlidesDiscriminator(channels, points, used, projection)

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Learn mean and spread of the conditions (N, C)."""
        self.conditioner.fit(cond)

    def make(self, cond: Tensor, noise: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """cond (B, C) physical, noise (B, noise) -> (B, *x_shape) scaled."""
        made: Tensor = self.generator(torch.cat([self._seen(cond), noise], dim=1), generator)
        return made

    def _seen(self, cond: Tensor, noisy: bool = False) -> Tensor:
        return self.conditioner(cond, noisy)[:, : self._used]

    def critic_loss(self, batch: ProfileBatch) -> dict[str, Tensor]:
        """loss of the discriminator, and `accuracy`: the share of measured and generated profiles it tells rightly."""
        cond = self._seen(batch.cond, noisy=True)
        with torch.no_grad():
            noise = torch.randn(len(cond), self.noise, device=cond.device)
            fake = within(self.generator(torch.cat([cond, noise], dim=1)), self.shape)
        real = self.critic(within(batch.x, self.shape), cond)
        false = self.critic(fake, cond)
        accuracy = 0.5 * ((real > 0).float().mean() + (false < 0).float().mean())
        return {"loss": (softplus(-real) + softplus(false)).mean(), "accuracy": accuracy}

    def generator_loss(self, batch: ProfileBatch) -> tuple[Tensor, Tensor]:
        """The loss, and the profiles (B, *x_shape) that it judged: physics losses look at them too."""
        cond = self._seen(batch.cond, noisy=True)
        noise = torch.randn(len(cond), self.noise, device=cond.device)
        fake = self.generator(torch.cat([cond, noise], dim=1))
        return softplus(-self.critic(within(fake, self.shape), cond)).mean(), fake

    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled."""
        return draw_profiles(self, cond, n, generator)
