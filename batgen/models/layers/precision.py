"""Keeping a computation in the precision of its inputs whatever the trainer asks for."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Method = TypeVar("Method", bound=Callable[..., Any])


def full_precision(method: Method) -> Method:
    """A method of a module that mixed precision leaves alone: for small differences of large numbers."""

    @functools.wraps(method)
    def run(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            return method(self, *args, **kwargs)

    return run  # type: ignore[return-value]
