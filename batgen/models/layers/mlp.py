"""Plain fully connected networks and their initialisation."""

from itertools import pairwise
from typing import Literal

from torch import nn

from batgen.errors import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "selu": nn.SELU,
    "tanh": nn.Tanh,
}


def activation_layer(name: str) -> nn.Module:
    """The activation called `name`. Raises ConfigError naming `model.activation` when there is none of that name."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"model.activation={name!r} is unknown; choose one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


def linear(inputs: int, outputs: int, activation: str | None) -> nn.Linear:
    """A linear layer whose weights keep the variance of the signal through the activation that follows.

    He et al. 2015 for the rectifier family; LeCun for selu (Klambauer et al. 2017) and for a linear output
    (`activation=None`). PyTorch's own default shrinks the signal by about 0.4 a layer: nothing is left after 16.
    """
    layer = nn.Linear(inputs, outputs)
    gain: Literal["linear", "tanh", "relu"] = "linear"
    if activation not in (None, "selu"):
        gain = "tanh" if activation == "tanh" else "relu"
    nn.init.kaiming_normal_(layer.weight, nonlinearity=gain)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(sizes: list[int], activation: str, dropout: float = 0.0) -> nn.Sequential:
    """(B, sizes[0]) -> (B, sizes[-1]); activation and dropout after every layer but the last."""
    layers: list[nn.Module] = []
    last = len(sizes) - 2
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(linear(inputs, outputs, activation if index < last else None))
        if index < last:
            layers.append(activation_layer(activation))
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
