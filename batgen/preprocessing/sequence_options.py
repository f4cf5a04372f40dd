"""What the options of `cycle_sequences` may be: refused with the key and the remedy, before anything is read."""

from collections.abc import Mapping, Sequence

from batgen.data.store import Store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.sequence_series import check_names, near
from batgen.preprocessing.sequence_windows import COVARIATES, DERIVED


def fitting_stride(longest: int) -> int:
    """Cycles a step so that a cell of `longest` cycles has about 200 of them."""
    return max(1, round(longest / 200))


def check_options(targets: Sequence[str], inputs: Sequence[str], covariates: Sequence[str], capacity: str) -> None:
    if not targets or len({*targets, *inputs}) < len(targets) + len(inputs):
        raise ConfigError("preprocessing: name at least one target, and none of targets and inputs twice.")
    for name in covariates:
        if name not in COVARIATES:
            raise ConfigError(f"preprocessing.covariates: {name} is not known ahead{near(name, COVARIATES)}")
    if capacity not in ("shape", "nominal", "Ah"):
        raise ConfigError(f"preprocessing.capacity={capacity}: choose shape, nominal or Ah.")


def check_columns(store: Store, names: Sequence[str]) -> None:
    """Raise DataError for a name that no cell of the store has."""
    try:
        check_names(store, names)
    except DataError as error:
        raise DataError(f"preprocessing: {error} Statics may also be {', '.join(DERIVED)}.") from None


def numbers(name: str, given: Mapping[str, float] | None, least: Mapping[str, float]) -> Mapping[str, float] | None:
    """The option as it is, once its keys are all there and no number is below the least that works."""
    if given is not None and (set(given) != set(least) or any(given[key] < low for key, low in least.items())):
        wanted = ", ".join(f"{key} (at least {low:g})" for key, low in least.items())
        raise ConfigError(f"preprocessing.{name} needs {wanted}, or null; it is {dict(given)}.")
    return given
