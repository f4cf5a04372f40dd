"""How the conditions, features and checks of profiles are written for people."""

import math

from batgen.report.labels import number, pretty_unit, with_unit, words

#: condition -> (words, unit). Conditions that are not here are spelled from their name.
_CONDITIONS = {
    "ecl": ("cycle", ""),
    "soh": ("state of health", ""),
    "soc": ("state of charge at the start", ""),
    "ambient_degC": ("ambient", "degC"),
    "start_temperature_degC": ("start temperature", "degC"),
    "c_rate": ("mean current", "C"),
    "c_rate_rms": ("RMS current", "C"),
    "soh_change": ("change of state of health", ""),
    "start_temperature_change_degC": ("change of start temperature", "degC"),
}
_FEATURES = {
    "peak_temperature_degC": "peak temperature",
    "peak_time_s": "time of the peak",
    "temperature_rise_degC": "rise",
    "final_temperature_degC": "final temperature",
    "duration_s": "duration",
}
_TEST_SETS = {"cells": "held-out cells", "apart": "cells scored apart", "val": "validation cells"}


def condition_words(name: str) -> str:
    """ "ambient" for "ambient_degC"; "chemistry=LFP" as it is."""
    return _CONDITIONS[name][0] if name in _CONDITIONS else words(name)


def condition_label(name: str) -> str:
    """Axis label: "Ambient [°C]"."""
    text = condition_words(name)
    return with_unit(text[:1].upper() + text[1:], _CONDITIONS.get(name, ("", ""))[1])


def condition_value(name: str, value: float) -> str:
    """ "ambient 24 °C"."""
    unit = pretty_unit(_CONDITIONS.get(name, ("", ""))[1])
    return f"{condition_words(name)} {number(value)}" + (f" {unit}" if unit else "")


def block_words(block: str) -> str:
    """Conditions that are permuted together, "ambient_degC+c_rate" -> "ambient + mean current"."""
    return " + ".join(map(condition_words, block.split("+")))


def feature_words(name: str) -> str:
    """ "rise" for "temperature_rise_degC"."""
    return _FEATURES.get(name, words(name))


def check_words(name: str) -> str:
    """The name of a physics check: "thermal balance" for "thermal_balance"."""
    return name.replace("_", " ")


def table_number(value: float, beside: float | None = None) -> str:
    """Two places, so that numbers of one unit compare; more below 0.1, fewer from 10 on, "–" for NaN.

    A spread has as many places as the mean it stands `beside`.
    """
    if math.isnan(value):
        return "–"
    value = 0.0 if abs(value) < 5e-5 else value  # the rest of a rounding error
    size = abs(value if beside is None else beside)
    places = 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:.{4 if 0 < round(size, 4) < 0.1 else places}f}"


def test_set_words(name: str) -> str:
    """ "held-out cells" for "cells"; other names as they are."""
    return _TEST_SETS.get(name, name.replace("_", " "))
