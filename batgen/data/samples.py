"""The table of samples: one row per cell and cycle, with every condition a model may ask for."""

import numpy as np
import pandas as pd

from batgen.data.cell import CellInfo, Source
from batgen.data.store import Store
from batgen.errors import ConfigError, DataError

#: Columns of the table. `soh` is that cycle's discharge capacity over nominal; `eol` NaN is a censored cell.
COLUMNS = (
    "cell_id",
    "ecl",
    "eol",
    "soh",
    "ambient_degC",
    "c1",
    "q1",
    "c2",
    "policy",
    "chemistry",
    "nominal_capacity_Ah",
)
CENSORED = ("drop", "last_record")


def sample_table(
    store: Store, source: Source, cycles: int | None, part: str = "charge", needs_eol: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """The samples with ECL 1..`cycles` (all with None) that have the part, and notes on what was dropped or replaced.

    Rows are in the order of cells in the store, then of cycles. With `needs_eol`, cells that never reach their end of
    life are dropped or given their last recorded cycle as `source.censored` says, and a note says so.
    Raises ConfigError when `cycles` is below 1 or beyond what any cell has, and DataError when nothing is left.
    """
    if cycles is not None and cycles < 1:
        raise ConfigError(f"cycles={cycles}: the number of cycles must be at least 1.")
    if source.censored not in CENSORED:
        raise ConfigError(f"data.censored={source.censored}: it must be one of {', '.join(CENSORED)}.")
    numbers = {info.cell_id: store.cycles_with(info.cell_id, part) for info in store.infos}
    infos = [info for info in store.infos if len(numbers[info.cell_id])]
    if not infos:
        raise DataError(f"{source.name}: no cell has a {part}; choose another part, or another data=.")
    longest = max(max(info.last_cycle, int(numbers[info.cell_id][-1])) for info in infos)
    if cycles is not None and cycles > longest:
        raise ConfigError(
            f"cycles={cycles}: the longest record of {source.name} has {longest} cycles; use at most that."
        )

    notes = []
    if absent := len(store.infos) - len(infos):
        notes.append(f"{absent} of {len(store.infos)} cells have no {part} and give no samples")
    tables = [_cell_rows(store, info, numbers[info.cell_id], cycles) for info in infos]
    samples = pd.concat(tables, ignore_index=True)
    if samples.empty:
        first = min(int(n[0]) for n in numbers.values() if len(n))
        raise ConfigError(f"cycles={cycles}: the first {part} of {source.name} is in cycle {first}; use at least that.")
    if needs_eol:
        samples, note = _resolve_censored(samples, infos, source)
        notes += note
    return samples, notes


def _cell_rows(store: Store, info: CellInfo, numbers: np.ndarray, cycles: int | None) -> pd.DataFrame:
    ecl = numbers if cycles is None else numbers[numbers <= cycles]
    summary = store.summary(info.cell_id).set_index("cycle").reindex(ecl)
    # a source whose cells saw several ambients gives them by cycle
    ambient = summary["ambient_degC"].fillna(info.ambient_degC) if "ambient_degC" in summary else info.ambient_degC
    columns = {
        "cell_id": info.cell_id,
        "ecl": ecl,
        "eol": np.full(len(ecl), info.eol_cycle),  # a scalar NaN would make a column of objects
        "soh": summary["discharge_capacity_Ah"].to_numpy() / info.nominal_capacity_Ah,
        "ambient_degC": np.broadcast_to(np.asarray(ambient, dtype=float), len(ecl)),
        **{name: np.full(len(ecl), getattr(info, name), dtype=float) for name in ("c1", "q1", "c2")},
        "policy": info.policy,
        "chemistry": info.chemistry,
        "nominal_capacity_Ah": info.nominal_capacity_Ah,
    }
    return pd.DataFrame(columns, columns=list(COLUMNS), index=np.arange(len(ecl)))


def _resolve_censored(samples: pd.DataFrame, infos: list[CellInfo], source: Source) -> tuple[pd.DataFrame, list[str]]:
    """Drop the samples of censored cells, or give them the last recorded cycle as `eol`; and say so."""
    missing = samples["eol"].isna()
    if not missing.any():
        return samples, []
    cells = list(samples.loc[missing, "cell_id"].unique())
    listed = ", ".join(cells[:10]) + (" ..." if len(cells) > 10 else "")
    which = f"{len(cells)} of {samples['cell_id'].nunique()} cells never cross {source.eol_capacity_Ah:g} Ah ({listed})"
    if source.censored == "last_record":
        last = {info.cell_id: float(info.last_cycle) for info in infos}
        filled = samples.assign(eol=samples["eol"].fillna(samples["cell_id"].map(last)))
        return filled, [f"{which}: their eol is the last recorded cycle (data.censored=last_record)"]
    if missing.all():
        raise DataError(
            f"{source.name}: {which}, so nothing is left for a model that needs eol; "
            "use data.censored=last_record, a lower data.eol_capacity_Ah, or a model without eol."
        )
    note = f"{which}: their {int(missing.sum())} samples are dropped (data.censored=drop)"
    return samples[~missing].reset_index(drop=True), [note]
