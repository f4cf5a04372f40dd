"""What an engineer reads off a temperature profile: the peak and when it comes, the rise, the end, how long it took."""

import numpy as np

FEATURES = (
    "peak_temperature_degC",
    "peak_time_s",
    "temperature_rise_degC",
    "final_temperature_degC",
    "duration_s",
)


def profile_features(
    temperature: np.ndarray, duration_s: np.ndarray, mask: np.ndarray, time_s: np.ndarray, after_s: float = 0.0
) -> dict[str, np.ndarray]:
    """temperature (..., P) in degC, duration_s (...), mask (..., P), time_s (..., P) -> name -> (...), one number a profile.

        peak_temperature_degC   highest temperature of the points at or after `after_s`
        peak_time_s             time of the first of these points
        temperature_rise_degC   that peak less the first point of the record; below 0 where a record only cools
        final_temperature_degC  last point
        duration_s              as given

    Points where the mask is False do not count. mask and time_s may lack leading axes (those of draws). `after_s`:
    charges begin hot, with the heat of the discharge before, and their own peak is what comes later. A profile that ends
    before `after_s` has a peak, a peak time and a rise of NaN; so has one with NaN at a point that counts: a generator
    that gives NaN has no peak. The peak is that of the points, not refined between them. Source: the domain checks of
    the mission's third model family (issue 5).
    Raises ValueError for shapes that do not match and for a profile without a single point.
    """
    temperature = np.asarray(temperature, dtype=np.float64)
    duration_s = np.asarray(duration_s, dtype=np.float64)
    if temperature.ndim < 1 or duration_s.shape != temperature.shape[:-1]:
        raise ValueError(f"need one duration for each profile, got {duration_s.shape} for {temperature.shape}")
    try:
        mask = np.broadcast_to(np.asarray(mask, dtype=bool), temperature.shape)
        time_s = np.broadcast_to(np.asarray(time_s, dtype=np.float64), temperature.shape)
    except ValueError as error:
        raise ValueError(f"mask and time_s must match the profiles {temperature.shape}: {error}") from error
    if not mask.any(axis=-1).all():
        raise ValueError("a profile has no measured point: its mask is False everywhere")
    counted = mask & (time_s >= after_s)
    # NaN wins both max and argmax, so that it shows in the peak rather than hide behind the other points.
    candidates = np.where(counted, temperature, -np.inf)
    peak = candidates.max(axis=-1)
    at = candidates.argmax(axis=-1)[..., None]
    peak_time = np.take_along_axis(time_s, at, axis=-1)[..., 0]
    none = ~counted.any(axis=-1) | np.isnan(peak)
    peak, peak_time = np.where(none, np.nan, peak), np.where(none, np.nan, peak_time)
    points = np.arange(temperature.shape[-1])
    first = mask.argmax(axis=-1)[..., None]
    last = np.where(mask, points, 0).max(axis=-1)[..., None]
    return {
        "peak_temperature_degC": peak,
        "peak_time_s": peak_time,
        "temperature_rise_degC": peak - np.take_along_axis(temperature, first, axis=-1)[..., 0],
        "final_temperature_degC": np.take_along_axis(temperature, last, axis=-1)[..., 0],
        "duration_s": duration_s.copy(),
    }
