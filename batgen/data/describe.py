"""What is in a store, for people: the tables that `scripts/prepare_data.py` prints."""

import numpy as np
import pandas as pd
from rich.console import Group
from rich.table import Table

from batgen.data.pulse_table import voltage_columns
from batgen.data.store import Store

#: As many rejected records of a cell and reason are listed one by one before they are counted.
_LISTED = 3


def describe(store: Store) -> Table:
    """Cells, cycles, signals, lives, units found, number of pulse tests, and where the store is, in two columns."""
    table = Table(title=f"store of {store.source.name}", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    if store.infos:
        _add_curves(table, store)
    pulses = store.pulses()
    if pulses is not None:
        table.add_row("pulse tests", f"{len(pulses)} rows")
    table.add_row("rejected", f"{len(store.rejected)} entries")
    table.add_row("store", f"{store.path} ({store.path.stat().st_size / 1e6:.1f} MB, built in {store.seconds:.1f} s)")
    table.add_row("data hash", store.data_hash)
    return table


def _add_curves(table: Table, store: Store) -> None:
    """The rows about cells with cycles."""
    infos = store.infos
    whole = [len(store.cycles_with(info.cell_id)) for info in infos]
    charges = [len(store.cycles_with(info.cell_id, "charge")) for info in infos]
    lives = np.array([info.eol_cycle for info in infos if not info.censored])
    censored = sum(info.censored for info in infos)
    units: dict[str, int] = {}
    for found in store.units.values():
        words = found.split(" (slope")[0] or "no current and time to check"
        units[words] = units.get(words, 0) + 1
    held = "all cycles" if store.cycles is None else f"cycles 1 to {store.cycles}"
    table.add_row("cells", f"{len(infos)}: {_short([info.cell_id for info in infos])}")
    table.add_row("curves", f"{sum(whole)} cycles, {sum(charges)} with a charge ({held})")
    table.add_row("life", _range([info.last_cycle for info in infos], "cycles recorded"))
    reached = f"{len(lives)} cells, {_range(lives, 'cycles')}" if len(lives) else "no cell"
    table.add_row("end of life", f"{reached}; censored: {censored} (below {store.source.eol_capacity_Ah:g} Ah)")
    table.add_row("signals", ", ".join(store.signals) or "none, per-cycle summary only")
    table.add_row("ambient", _range(sorted({info.ambient_degC for info in infos}), "degC"))
    table.add_row("policies", str(len({info.policy for info in infos})))
    table.add_row("units", "; ".join(f"{words}: {count} cells" for words, count in units.items()))


def describe_pulses(pulses: pd.DataFrame) -> Table:
    """The pulse tests of each battery type, a column a type: cells, ageing stages, SOC levels, SOH, voltages."""
    table = Table(title="pulse tests", title_justify="left", show_lines=False)
    table.add_column("battery", style="bold")
    types = dict(list(pulses.groupby("battery")))
    for battery in types:
        table.add_column(str(battery), overflow="fold")
    facts = [_pulse_facts(rows) for rows in types.values()]
    for name in facts[0]:
        table.add_row(name, *(fact[name] for fact in facts))
    return table


def _pulse_facts(rows: pd.DataFrame) -> dict[str, str]:
    first, voltages = rows.iloc[0], voltage_columns(rows)
    grid, random = (rows[rows["test_set"] == name] for name in ("grid", "random_soc"))
    levels = [f"{100 * soc:g}" for soc in sorted(grid["soc"].unique())]
    low, high = np.nanmin(rows[voltages].to_numpy()), np.nanmax(rows[voltages].to_numpy())
    return {
        "chemistry": f"{first['chemistry']}, {first['nominal_capacity_Ah']:g} Ah",
        "physical cells": str(rows["cell_id"].nunique()),
        "ageing stages": str(rows["stage_id"].nunique()),
        "tests": str(len(grid)),
        "at SOC, %": f"{len(levels)}: {_short(levels, 20)}" if levels else "none",
        "at random SOC": f"{len(random)}, {_range(100 * random['soc'], '%')}" if len(random) else "none",
        "SOH": f"{rows['soh'].min():.3f} to {rows['soh'].max():.3f}",
        "voltages": f"{voltages[0]} to {voltages[-1]}, {low:.3f} to {high:.3f} V",
        "pulse": " and ".join(f"{width:g} s" for width in sorted(rows["pulse_width_s"].unique())),
    }


def rejected_lines(store: Store) -> list[str]:
    """What was left out or mended, one line each; many of one cell for one reason are counted in one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for cell_id, record, reason in store.rejected:
        groups.setdefault((cell_id, reason), []).append(record)
    lines = []
    for (cell_id, reason), records in groups.items():
        lines.append(f"{cell_id}: {_short(records, _LISTED)}: {reason}")
    return lines


def report(store: Store) -> Group:
    """The table, that of the pulse tests where there are some, then the rejected records."""
    pulses = store.pulses()
    tables = [describe(store)] + ([] if pulses is None else [describe_pulses(pulses)])
    return Group(*tables, *(f"  {line}" for line in rejected_lines(store)))


def _short(names: list[str], listed: int = 6) -> str:
    more = f" and {len(names) - listed} more" if len(names) > listed else ""
    return ", ".join(names[:listed]) + more


def _range(values: "list[float] | list[int] | np.ndarray | pd.Series", unit: str) -> str:
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return "not known"
    low, high = finite.min(), finite.max()
    return f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit} (median {np.median(finite):g})"
