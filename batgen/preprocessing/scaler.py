"""One scale per signal, fitted on training cells, exactly invertible; its state is plain lists."""

from typing import Any

import numpy as np

from batgen.errors import ConfigError, DataError

KINDS = ("minmax", "zscore")


class SignalScaler:
    """x = (physical - offset) / scale per signal: min-max to 0..1, or zero mean and unit standard deviation."""

    def __init__(self, kind: str):
        if kind not in KINDS:
            raise ConfigError(f"preprocessing.scaler: {kind!r} is none of {', '.join(KINDS)}.")
        self.kind = kind
        self.offset = np.zeros(0)
        self.scale = np.ones(0)

    def fit(self, curves: np.ndarray, signals: tuple[str, ...]) -> None:
        """curves: physical (N, signals, points). Raises DataError where a signal never changes: it cannot be scaled."""
        axes = (0, 2)
        if self.kind == "minmax":
            low, high = curves.min(axes).astype(np.float64), curves.max(axes).astype(np.float64)
            offset, scale = low, high - low
        else:
            offset, scale = curves.mean(axes, dtype=np.float64), curves.std(axes, dtype=np.float64)
        for name, at, size in zip(signals, offset, scale, strict=True):
            if not size > 1e-9 * max(abs(at), 1.0):
                raise DataError(
                    f"{name} is constant ({at:.6g}) in all {len(curves)} training curves, so it cannot be scaled or learnt. "
                    f"Leave it out: data.curves.signals=[...] without {name}."
                )
        self.offset, self.scale = offset, scale

    def apply(self, curves: np.ndarray) -> np.ndarray:
        return ((curves - self.offset[:, None]) / self.scale[:, None]).astype(np.float32)

    def undo(self, scaled: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Scaled (..., slices, points) to physical units; `which` (slices,) says which signal each slice is."""
        return (scaled * self.scale[which][:, None] + self.offset[which][:, None]).astype(np.float32)

    def state(self) -> dict[str, Any]:
        return {"kind": self.kind, "offset": self.offset.tolist(), "scale": self.scale.tolist()}

    def load(self, state: dict[str, Any]) -> None:
        self.kind, self.offset, self.scale = state["kind"], np.array(state["offset"]), np.array(state["scale"])
