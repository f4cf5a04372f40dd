"""Networks that turn noise and conditions into profiles: recurrent, as in the slides, or convolutional."""

import torch
from torch import Tensor, nn

from batgen.errors import ConfigError
from batgen.models.layers.draw import normal

#: Coarse steps (of 8 points) that a convolutional generator makes on either side and cuts off.
_MARGIN = 1


def profile_generator(kind: str, inputs: int, signals: int, points: int, hidden: int, step_noise: int) -> nn.Module:
    """The generator called `kind` (lstm | conv). Raises ConfigError naming `model.generator` for another."""
    if kind == "lstm":
        return LSTMGenerator(inputs, signals, points, hidden, step_noise)
    if kind == "conv":
        return ConvGenerator(inputs, signals, points, hidden, step_noise)
    raise ConfigError(f"model.generator={kind!r} is neither lstm nor conv.")


class LSTMGenerator(nn.Module):
    """Noise and conditions at each step, an LSTM, a linear layer (Ounoughi's slides, "Architecture").

    The slides' network ends there. Here the last state also gives the log-duration, and `step_noise` adds fresh noise
    to the input of every step, without which a profile is as smooth as the network.
    """

    def __init__(self, inputs: int, signals: int, points: int, hidden: int, step_noise: int) -> None:
        super().__init__()
        self.points, self.step_noise = points, step_noise
        self.lstm = nn.LSTM(inputs + step_noise, hidden, batch_first=True)
        self.out = nn.Linear(hidden, signals)
        self.duration = nn.Linear(hidden, 1)

    def forward(self, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """u (B, inputs) -> (B, signals + 1, points) float32 also under autocast, the last channel constant along the points."""
        steps = u[:, None].expand(-1, self.points, -1)
        if self.step_noise:
            fresh = normal((len(u), self.points, self.step_noise), u, generator)
            steps = torch.cat([steps, fresh], dim=2)
        state, _ = self.lstm(steps)
        duration = self.duration(state[:, -1])[:, None].expand(-1, 1, self.points)
        return torch.cat([self.out(state).transpose(1, 2), duration], dim=1).float()


class ConvGenerator(nn.Module):
    """A dense layer to `points` / 8 steps, then three times: twice the steps by interpolation, a convolution.

    Interpolation before convolution leaves no checkerboard (Odena et al. 2016). `step_noise` channels of fresh noise go
    into the last convolution. A margin on either side is made and cut off: what convolutions put beyond the ends bends
    them (zeros) or flattens them (the last value repeated), and a discharge is steepest at its end.
    """

    def __init__(self, inputs: int, signals: int, points: int, hidden: int, step_noise: int) -> None:
        super().__init__()
        self.points, self.step_noise, self.hidden = points, step_noise, hidden
        self.coarse = -(-points // 8) + 2 * _MARGIN
        self.trunk = nn.Sequential(
            nn.Linear(inputs, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, 2 * hidden), nn.SiLU()
        )
        self.start = nn.Linear(2 * hidden, hidden * self.coarse)
        self.convs = nn.ModuleList(nn.Conv1d(hidden, hidden, 5, padding=2) for _ in range(3))
        self.out = nn.Conv1d(hidden + step_noise, signals, 5)
        self.duration = nn.Linear(2 * hidden, 1)

    def forward(self, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """u (B, inputs) -> (B, signals + 1, points) float32 also under autocast, the last channel constant along the points."""
        features = self.trunk(u)
        x = self.start(features).view(len(u), self.hidden, self.coarse)
        for number, conv in enumerate(self.convs, 1):
            size = 2**number * self.coarse
            x = nn.functional.silu(conv(nn.functional.interpolate(x, size=size, mode="linear", align_corners=False)))
        x = x[:, :, 8 * _MARGIN - 2 : 8 * _MARGIN + self.points + 2]  # two more on either side for the last convolution
        if self.step_noise:
            x = torch.cat([x, normal((len(u), self.step_noise, x.shape[2]), u, generator)], dim=1)
        duration = self.duration(features)[:, None].expand(-1, 1, self.points)
        return torch.cat([self.out(x), duration], dim=1).float()
