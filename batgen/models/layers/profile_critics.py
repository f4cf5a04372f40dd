"""Networks that judge profiles under their conditions: one number a profile, without a sigmoid."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class SlidesDiscriminator(nn.Module):
    """Convolution, pooling, two dense layers, the conditions joined to the features (Ounoughi's slides, "Architecture").

    Returns the logit: the slides' sigmoid belongs to the binary cross-entropy, which is exact on logits only.
    """

    def __init__(self, channels: int, points: int, conditions: int, projection: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(channels, 16, 3, padding=1), nn.LeakyReLU(0.2), nn.MaxPool1d(2))
        self.first = nn.Sequential(nn.Linear(16 * (points // 2) + conditions, 64), nn.LeakyReLU(0.2))
        self.last = nn.Linear(64, 1)
        self.project = nn.Linear(conditions, 64, bias=False) if projection else None

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """x (B, channels, points), cond (B, conditions) standardised -> (B,)."""
        features = self.first(torch.cat([self.conv(x).flatten(1), cond], dim=1))
        return _judge(features, cond, self.last, self.project)


class ConvCritic(nn.Module):
    """Three strided convolutions over the signals and a position channel, dense layers with conditions and duration.

    No normalisation over the batch: the gradient penalty is one of single samples (Gulrajani et al. 2017, section 4).
    """

    def __init__(self, channels: int, points: int, conditions: int, hidden: int, projection: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = points
        for inputs, outputs in pairwise((channels, hidden, hidden, hidden)):
            layers += [nn.Conv1d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
            width = (width + 1) // 2
        self.conv = nn.Sequential(*layers)
        self.features = nn.Sequential(nn.Linear(hidden * width, 64), nn.LeakyReLU(0.2))
        self.dense = nn.Sequential(nn.Linear(64 + conditions + 1, 64), nn.LeakyReLU(0.2))
        self.last = nn.Linear(64, 1)
        self.project = nn.Linear(conditions, 64, bias=False) if projection else None
        self.register_buffer("position", torch.linspace(-1.0, 1.0, points), persistent=False)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """x (B, channels, points), cond (B, conditions) standardised -> (B,)."""
        position: Tensor = self.position  # type: ignore[assignment]
        seen = torch.cat([x[:, :-1], position.to(x.dtype).expand(len(x), 1, -1)], dim=1)
        features = self.features(self.conv(seen).flatten(1))
        # The last channel is one number repeated: its coordinate along that direction of x, which is as long as a signal's.
        duration = x[:, -1:].mean(2) * x.shape[2] ** 0.5
        features = self.dense(torch.cat([features, cond, duration], dim=1))
        return _judge(features, cond, self.last, self.project)


def _judge(features: Tensor, cond: Tensor, last: nn.Linear, project: nn.Linear | None) -> Tensor:
    """The verdict, plus how well features and conditions go together (Miyato & Koyama 2018, eq. 4) where asked for."""
    # float32 also under autocast: a Wasserstein loss is a small difference of large verdicts
    verdict: Tensor = last(features)[:, 0].float()
    return verdict if project is None else verdict + (features * project(cond)).float().sum(1)
