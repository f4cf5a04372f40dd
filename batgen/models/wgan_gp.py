"""Wasserstein GAN with gradient penalty for profiles, its generator averaged over the training."""

import copy

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.base import DataShape, ProfileBatch
from batgen.models.layers.gan_sides import Conditioner, draw_profiles, pair_score, pinned, within
from batgen.models.layers.profile_critics import ConvCritic
from batgen.models.layers.profile_generators import profile_generator
from batgen.models.layers.thermal_residual import ThermalResidual


class WganGp(nn.Module):
    """WGAN-GP (Gulrajani et al. 2017, algorithm 1) with conditions, and draws from an exponential moving average of the
    generator (Yazici et al. 2019).

    Critic: E D(G(z, c), c) - E D(x, c) + penalty E (|grad D(x^, c)| - 1)^2 with x^ between measured and generated profiles
    of one condition; generator: -E D(G(z, c), c). Distances are those of x, in which the log-duration is a channel like the
    signals: it counts as much as one of them does, not as much as one point.

    Args:
        thermal: generate the residual of the temperature over a thermal model fitted to the training cells ("hybrid"):
            T(t) = thermal model under the generated (or given) current and duration + what the network says.
        noise: length of z. hidden: units of the generator. generator: conv | lstm. step_noise: fresh noise a step.
        critic_hidden: channels of the critic. projection: see `ConvCritic`.
        jitter: noise on the conditions in training, in standard deviations.
        critic_steps: critic steps a generator step. penalty: weight of the gradient penalty.
        score: weight of the energy score of two draws against the measured profile, in the distance of the critic. The critic
            alone lets the draws of a condition collapse, since no two measured profiles have the same conditions; a proper
            score is lowest where their spread is right (Gneiting & Raftery 2007, section 4.3).
        ema: decay of the average a step, 0 for none; shorter at first: early weights are soon forgotten.
    """

    ACCEPTS = ("profiles",)
    REQUIRES = ()

    averaged_steps: Tensor

    def __init__(
        self,
        shape: DataShape,
        *,
        thermal: bool = False,
        noise: int = 16,
        hidden: int = 64,
        generator: str = "conv",
        step_noise: int = 1,
        critic_hidden: int = 48,
        projection: bool = True,
        jitter: float = 0.1,
        critic_steps: int = 3,
        penalty: float = 10.0,
        score: float = 1.0,
        ema: float = 0.995,
    ) -> None:
        super().__init__()
        sizes = {"noise": noise, "hidden": hidden, "critic_hidden": critic_hidden, "critic_steps": critic_steps}
        for key, value in sizes.items():
            if value < 1:
                raise ConfigError(f"model.{key}={value} must be at least 1.")
        if min(penalty, score) < 0 or not 0 <= ema < 1:
            raise ConfigError(
                f"model.penalty={penalty} and model.score={score} must be 0 or more, model.ema={ema} from 0 to below 1."
            )
        self.score = score
        self.shape, self.noise, self.critic_steps, self.penalty, self.ema = shape, noise, critic_steps, penalty, ema
        self.title = "hybrid" if thermal else "wgan_gp"
        channels, points = shape.x_shape
        conditions = len(shape.cond_names)
        self.conditioner = Conditioner(shape, jitter)
        self.thermal = ThermalResidual(shape) if thermal else None
        self.generator = profile_generator(generator, conditions + noise, channels - 1, points, hidden, step_noise)
        self.critic = ConvCritic(channels, points, conditions, critic_hidden, projection)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)
        self.register_buffer("averaged_steps", torch.zeros((), dtype=torch.int64))

    def fit(self, x: Tensor, cond: Tensor, cell: Tensor) -> None:
        """Learn mean and spread of the conditions (N, C), and the thermal model from x (N, *x_shape)."""
        self.conditioner.fit(cond)
        if self.thermal is not None:
            self.thermal.fit(x, cond)

    def make(self, cond: Tensor, noise: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """cond (B, C) physical, noise (B, noise) -> (B, *x_shape) scaled, from the averaged generator."""
        network = self.averaged if self.ema else self.generator
        return self._finish(network(torch.cat([self.conditioner(cond), noise], dim=1), generator), cond)

    def _finish(self, x: Tensor, cond: Tensor) -> Tensor:
        """What the network says, beginning where a profile is known to begin, and what the thermal model says of it."""
        if self.thermal is not None:
            return self.thermal(x, cond)
        return pinned(x, self.shape)

    @torch.no_grad()
    def average(self) -> None:
        """Take the generator's weights into the average: to be called after each generator step."""
        if not self.ema:
            return
        self.averaged_steps += 1
        # the memory grows with the training, so that the first steps, which are nothing like the last, are soon forgotten
        weight = (9.0 / (9.0 + self.averaged_steps)).clamp_min(1.0 - self.ema)
        pairs = zip(self.averaged.parameters(), self.generator.parameters(), strict=True)
        for mean, value in pairs:
            mean.lerp_(value.detach(), weight)

    def critic_loss(self, batch: ProfileBatch) -> dict[str, Tensor]:
        """loss of the critic; `accuracy`, the share of profiles on their side of the midpoint of both means; `penalty`."""
        cond = self.conditioner(batch.cond, noisy=True)
        with torch.no_grad():
            fake = self._draw(cond, batch.cond)
        real_x, fake_x = within(batch.x, self.shape), within(fake, self.shape)
        real, false = self.critic(torch.cat([real_x, fake_x]), cond.repeat(2, 1)).chunk(2)
        penalty = self._penalty(real_x, fake_x, cond)
        middle = 0.5 * (real.mean() + false.mean())
        accuracy = 0.5 * ((real > middle).float().mean() + (false < middle).float().mean())
        loss = false.mean() - real.mean() + self.penalty * penalty
        return {"loss": loss, "accuracy": accuracy.detach(), "penalty": penalty.detach()}

    def _penalty(self, real: Tensor, fake: Tensor, cond: Tensor) -> Tensor:
        # In float32 whatever the precision of the rest: a gradient of a gradient underflows in half precision.
        with torch.autocast(real.device.type, enabled=False):
            real, fake, cond = real.float(), fake.float(), cond.float()
            mix = torch.rand(len(real), 1, 1, device=real.device)
            between = (mix * real + (1 - mix) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(between, cond).sum(), between, create_graph=True)
            return ((slope.square().sum((1, 2)) + 1e-12).sqrt() - 1.0).square().mean()

    def generator_loss(self, batch: ProfileBatch) -> tuple[Tensor, Tensor]:
        """The loss, and the profiles (B, *x_shape) that it judged: physics losses look at them too."""
        cond = self.conditioner(batch.cond, noisy=True)
        fake = self._draw(cond, batch.cond)
        seen = within(fake, self.shape)
        loss = -self.critic(seen, cond).mean()
        if self.score:
            other = within(self._draw(cond, batch.cond), self.shape)
            loss = loss + self.score * pair_score(seen, other, within(batch.x, self.shape))
        return loss, fake

    def _draw(self, cond: Tensor, physical: Tensor) -> Tensor:
        """Profiles from fresh noise under standardised conditions and the same in physical units."""
        noise = torch.randn(len(cond), self.noise, device=cond.device)
        return self._finish(self.generator(torch.cat([cond, noise], dim=1)), physical)

    def sample(self, cond: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, B, *x_shape), scaled."""
        return draw_profiles(self, cond, n, generator)
