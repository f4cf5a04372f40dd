"""The table of profiles: records of a store cut and resampled (once: the arrays are cached), with the facts of each."""

import hashlib
import json

import numpy as np
import pandas as pd

from batgen.data.samples import sample_table
from batgen.data.store import Store
from batgen.errors import ConfigError, DataError
from batgen.preprocessing.cache import cached
from batgen.preprocessing.profile_options import Options, check_measured
from batgen.preprocessing.profile_protocol import protocols
from batgen.preprocessing.profile_records import FACTS, Cut, read_records


def read_table(
    store: Store, cycles: int | None, options: Options, version: int
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Profiles of cycles 1..`cycles` (None: all), in the order of cells, cycles and starts.

    Returns the table of `profile_set.ProfileSet` (given False, changes NaN), curves float32 (N, S, P), and notes on what
    was left out. Raises DataError when a signal was not measured or nothing can be used, ConfigError for more points than
    the longest record has.
    """
    o = options
    needed = check_measured(store, o)
    samples, notes = sample_table(store, store.source, cycles, o.part)
    cut = Cut(o.part, o.points, o.spacing_s, o.window_s, o.windows, o.window_seed, o.min_points)
    rows = pd.util.hash_pandas_object(samples[["cell_id", "ecl"]], index=False).to_numpy()
    words = json.dumps(["profiles", store.data_hash, version, repr(cut), o.signals, needed])
    key = hashlib.sha256(words.encode() + rows.tobytes()).hexdigest()
    found = cached(key, lambda: read_records(store, samples, cut, o.signals, needed))
    notes = [*notes, *json.loads(str(found["notes"]))]
    if not len(found["rows"]):
        raise DataError(_nothing(store, o, float(found["longest_s"]), notes))
    _check_length(store, o, float(found["longest_s"]))
    table = samples.iloc[found["rows"]].reset_index(drop=True).assign(**{name: found[name] for name in FACTS})
    # how a discharge is run is not in the policy, which is that of charges
    policy = table["policy"].to_numpy(dtype=str) if o.part == "charge" else None
    whole = found["record_c_rate"], found["record_c_rate_rms"]
    table["protocol"] = protocols(table["ambient_degC"].to_numpy(dtype=float), *whole, policy)
    table["given"] = False
    return table.assign(soh_change=np.nan, start_temperature_change_degC=np.nan), found["curves"], notes


def _check_length(store: Store, options: Options, longest_s: float) -> None:
    """Raise ConfigError where points lie behind the end of every record: nothing could be learnt of them."""
    step_s, points = options.step_s, options.points
    if step_s is None or longest_s > (points - 2) * step_s:
        return
    raise ConfigError(
        f"preprocessing.points={points} at step_s={step_s:g} reach {(points - 1) * step_s:g} s, but the longest {options.part} "
        f"record of {store.source.name} has {longest_s:.0f} s; use points={max(2, int(longest_s // step_s) + 1)} or fewer."
    )


def _nothing(store: Store, options: Options, longest_s: float, notes: list[str]) -> str:
    name, window = store.source.name, options.window_s
    if window is not None and 0 < longest_s < window:
        return (
            f"{name}: the longest {options.part} record has {longest_s:.0f} s, less than preprocessing.window_s={window:g}; "
            "use a shorter window."
        )
    return (
        f"{name}: no {options.part} record can be used ({'; '.join(notes)}). Lower preprocessing.min_points, or name other "
        "preprocessing.signals=[...]."
    )
