"""The light pair of networks: fully connected, the conditions scale and shift every hidden unit (FiLM, Perez et al. 2018)."""

from torch import Tensor, nn
from torch.nn.functional import silu


class FilmLayer(nn.Module):
    """(B, I) -> (B, H): silu((1 + a(c)) * (W x + b) + d(c)), with a and d linear in the conditions c (B, C)."""

    def __init__(self, inputs: int, hidden: int, conditions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, hidden)
        self.film = nn.Linear(conditions, 2 * hidden)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        scale, shift = self.film(c).chunk(2, -1)
        return silu((1 + scale) * self.linear(x) + shift)


class FilmNet(nn.Module):
    """(B, I) and c (B, C) -> (B, O), zero before training: the frame around it starts as the closed form."""

    def __init__(self, inputs: int, outputs: int, conditions: int, hidden: int) -> None:
        super().__init__()
        self.first = FilmLayer(inputs, hidden, conditions)
        self.second = FilmLayer(hidden, hidden, conditions)
        self.out = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        h = self.first(x, c)
        return self.out(h + self.second(h, c))


class FilmPair(nn.Module):
    """Encoder (w, c) -> (B, 2 L) and decoder (z, c) -> (B, F). They take `rotation` as token networks do, and need none."""

    def __init__(self, features: int, latent: int, conditions: int, hidden: int) -> None:
        super().__init__()
        self.encoder = FilmNet(features, 2 * latent, conditions, hidden)
        self.decoder = FilmNet(latent, features, conditions, hidden)

    def encode(self, w: Tensor, c: Tensor, rotation: Tensor) -> Tensor:
        return self.encoder(w, c)

    def decode(self, z: Tensor, c: Tensor, rotation: Tensor) -> Tensor:
        return self.decoder(z, c)
