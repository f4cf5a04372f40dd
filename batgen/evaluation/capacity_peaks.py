"""Incremental capacity dQ/dV of charges and discharges: where its highest peak lies and how high it is."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

#: Width of a voltage bin, and standard deviation of the Gaussian that smooths: ten times the noise of a good cycler.
BIN_V = 0.002
SMOOTH_V = 0.010
#: Charge this close to the highest voltage belongs to the constant-voltage phase, which is no peak of the material.
TOP_V = 0.020
#: A curve over less than this says nothing about peaks, and no cell spans more than that.
LEAST_SPAN_V, MOST_SPAN_V = 0.1, 5.0
#: Straight pieces each interval is cut into, so that steep parts leave no empty bins.
_PIECES = 4


def capacity_peaks(voltage_V: np.ndarray, charge_Ah: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """voltage_V (N, P), charge_Ah (N, P) -> voltage (N,) in V and height (N,) in Ah/V of the highest peak of dQ/dV.

    dQ/dV is taken as the density of charge over voltage: the charge of each interval goes into the voltage bins it passes
    (BIN_V), and a Gaussian of SMOOTH_V smooths the histogram. No difference quotient is formed, so that noise of 1 mV moves
    no peak, and voltages that fall back at a step of current need no sorting. Source: Feng et al. 2013 (J. Power Sources 232,
    209-218). Charge within TOP_V of the curve's highest voltage is left out, and a peak must lie two smoothing widths inside
    what is left. The charge may rise or fall along the curve; of a discharge the height is positive too. NaN where a value
    is not finite, the voltage spans too little or too much, or there is no peak. Under a high current the peak is that
    of the loaded cell, shifted by I R: compare like with like. Raises ValueError where shapes differ.
    """
    if voltage_V.ndim != 2 or voltage_V.shape != charge_Ah.shape or voltage_V.shape[1] < 2:
        raise ValueError(f"need two arrays (N, P) of two points or more, got {voltage_V.shape} and {charge_Ah.shape}")
    voltage, charge = np.asarray(voltage_V, dtype=np.float64), np.asarray(charge_Ah, dtype=np.float64)
    finite = np.asarray((np.isfinite(voltage) & np.isfinite(charge)).all(axis=1))
    span = np.ptp(np.where(finite[:, None], voltage, 0.0), axis=1)
    usable = finite & (span >= LEAST_SPAN_V) & (span <= MOST_SPAN_V)
    peak, height = np.full(len(voltage), np.nan), np.full(len(voltage), np.nan)
    if usable.any():
        peak[usable], height[usable] = _highest(*_density(voltage[usable], charge[usable]), voltage[usable])
    return peak, height


def _density(voltage: np.ndarray, charge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed dQ/dV (N, B) in Ah/V, and the voltage of each curve's first bin centre (N,). Bins begin at multiples of BIN_V."""
    first = np.floor(voltage.min(axis=1) / BIN_V)
    parts = (np.arange(_PIECES) + 0.5) / _PIECES
    middle = (voltage[:, :-1, None] + parts * np.diff(voltage, axis=1)[:, :, None]).reshape(len(voltage), -1)
    total = charge[:, -1] - charge[:, 0]
    piece = np.repeat(np.diff(charge, axis=1) * np.sign(total)[:, None] / _PIECES, _PIECES, axis=1)
    piece[middle > voltage.max(axis=1)[:, None] - TOP_V] = 0.0
    place = np.floor(middle / BIN_V) - first[:, None]
    bins = int(place.max()) + 1
    flat = (np.arange(len(voltage))[:, None] * bins + place).astype(np.int64).ravel()
    counted = np.bincount(flat, weights=piece.ravel(), minlength=len(voltage) * bins).reshape(len(voltage), bins)
    smooth: np.ndarray = gaussian_filter1d(counted / BIN_V, SMOOTH_V / BIN_V, axis=1, mode="constant")
    return smooth, (first + 0.5) * BIN_V


def _highest(density: np.ndarray, start: np.ndarray, voltage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voltage and height of the highest local maximum inside each curve's range, by a parabola through its three bins."""
    centre = start[:, None] + BIN_V * np.arange(density.shape[1])
    inside = centre >= voltage.min(axis=1)[:, None] + 2 * SMOOTH_V
    inside &= centre <= voltage.max(axis=1)[:, None] - TOP_V - 2 * SMOOTH_V
    local = np.zeros(density.shape, dtype=bool)
    local[:, 1:-1] = (density[:, 1:-1] > density[:, :-2]) & (density[:, 1:-1] >= density[:, 2:])
    local &= inside & (density > 0)
    rows, best = np.arange(len(density)), np.where(local, density, -np.inf).argmax(axis=1)
    best = np.clip(best, 1, density.shape[1] - 2)
    low, top, high = (density[rows, best + step] for step in (-1, 0, 1))
    bend = low - 2 * top + high
    shift = np.divide(0.5 * (low - high), bend, out=np.zeros(len(density)), where=bend < 0)
    found = local.any(axis=1)
    return np.where(found, centre[rows, best] + shift * BIN_V, np.nan), np.where(found, top, np.nan)
