"""What physics losses share: asking for what they need, and limits taken from measured records."""

import numpy as np
import torch
from torch import Tensor

from batgen.errors import ConfigError
from batgen.models.layers.physical import PhysicalView

#: A check lets this share of the measured training records pass, and others up to this factor beyond it. Cells differ: of
#: NASA cells held out, the 95 % quantile of each statistic is at most 1.17 times the 99 % quantile of the other cells.
_PASSING, _SLACK = 0.99, 1.2


def temperature(view: PhysicalView, name: str) -> Tensor:
    """(B, P) temperature of the view, degC; ConfigError, naming the loss `name`, where it is no signal."""
    if "temperature_degC" not in view.signals:
        raise ConfigError(
            f"model.physics.{name} needs the signal temperature_degC: add it to preprocessing.signals, "
            f"or set model.physics.{name}=null."
        )
    return view.signals["temperature_degC"]


def ambient(view: PhysicalView, name: str) -> Tensor:
    """(B,) ambient temperature of the view, degC; ConfigError, naming the loss `name`, where it is not known."""
    if view.ambient_degC is None or not bool(torch.isfinite(view.ambient_degC).all()):
        raise ConfigError(
            f"model.physics.{name} needs the ambient temperature of every record: add ambient_degC to "
            f"preprocessing.conditions, or set model.physics.{name}=null."
        )
    return view.ambient_degC


def quantile(values: Tensor, share: float) -> float:
    """The `share` quantile of all values; numpy's, as torch's refuses more than 16 million."""
    return float(np.quantile(values.detach().double().cpu().numpy(), share))


def tolerance(statistic: Tensor) -> float:
    """Up to which value of its statistic a record passes, from statistic (N,) of the training records."""
    return _SLACK * quantile(statistic, _PASSING)
