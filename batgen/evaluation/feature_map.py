"""Curves as vectors whose distances mean something: the feature map of every metric that compares whole curves."""

from dataclasses import dataclass

import numpy as np

from batgen.data.curve_set import CurveSet


@dataclass(frozen=True)
class FeatureMap:
    """Each signal over one scale, in its own unit, at the points that every reference curve was measured at.

    scale (S,): standard deviation of the signal over all reference curves and points, so that a distance of 0.1 is a tenth
    of the usual range at every point. keep (S, P) bool: points measured in all reference curves. A whole signal weighs
    the same as another one, whatever its number of points: each is divided by sqrt(points of it x signals).
    """

    scale: np.ndarray
    keep: np.ndarray

    @classmethod
    def fit(cls, *references: CurveSet) -> "FeatureMap":
        """From measured curves, training ones first; a signal that they hold constant has scale 1.

        Raises ValueError when no point is measured in all of them.
        """
        measured = [np.isfinite(one.values).all(axis=0) for one in references if len(one)]
        keep = np.logical_and.reduce(measured)
        if not keep.any():
            raise ValueError("no point is measured in every curve: there is no common vector")
        first = references[0].values.astype(np.float64)
        scale = np.array([first[:, s][:, keep[s]].std() if keep[s].any() else 1.0 for s in range(keep.shape[0])])
        return cls(np.where(scale > 1e-9, scale, 1.0), keep)

    def vectors(self, values: np.ndarray) -> np.ndarray:
        """Curves (..., S, P) as float64 vectors (..., D), D the number of points kept."""
        used = self.keep.any(axis=1)
        weight = 1.0 / (self.scale * np.sqrt(np.maximum(self.keep.sum(axis=1), 1) * used.sum()))
        scaled = np.asarray(values, dtype=np.float64) * weight[:, None]
        flat: np.ndarray = scaled[..., self.keep]
        return flat
