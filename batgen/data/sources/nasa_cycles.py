"""How the charge and discharge records of a NASA cell become cycles.

Cycle k (the ECL) is the k-th charge that a discharge follows, with that discharge:

- several charges in a row belong to one cycle, of which the one with the most charge is kept (the others are top-ups);
- a discharge before the first charge and one of less than a tenth of the nominal capacity do not count; nor does a
  last charge that no discharge follows;
- a second discharge in a row counts when it gives at least half of the one before, for then the cell was charged
  without a record (B0005 once); else it is the rest of the first and does not count;
- a charge of less than 0.8 of its discharge did not start from an empty cell (B0005's first started from storage) and
  says nothing about the cycle: it is left out;
- where the charge is truncated, not recorded or left out, the cycle has the discharge alone; so have the cells of which
  only discharges are on disk, where cycle k is the k-th discharge.

A charge runs from its first sustained positive current (the transients before are dropped) to its last (so is the
rest after cut-off); one that stops above 0.1 A was cut off early. Everything left out is reported.
"""

from dataclasses import dataclass

import numpy as np

from batgen.data.cell import Cycle, Rejected
from batgen.data.derived import Span, load_step_resistance_Ohm, mean_current_A
from batgen.data.sources.nasa_records import Record
from batgen.data.units import UnitFix

#: A discharge of less than this part of the nominal capacity is none.
EMPTY = 0.1
#: A discharge of at least this part of the one before cannot be without a charge between.
_CHARGED_UNSEEN = 0.5
#: A charge of less than this part of its discharge did not start from an empty cell.
_FROM_EMPTY = 0.8
#: Below these (A) the current is zero within its noise of some mA; the charge cut-off is 20 mA.
_CHARGE_ON, _DISCHARGE_ON = 0.01, 0.1
#: A step in current (A) that tells a resistance; the smallest load is 1 A.
_LOAD_STEP = 0.5
#: So many samples in a row make a current sustained.
_SUSTAINED = 3
#: A charge that ends above this (A) did not end by itself.
_CUT_OFF = 0.1
_MIN_SAMPLES = 20


@dataclass(frozen=True)
class Charge:
    """A charge record, the part of it that charges, and the integral of that part (Ah)."""

    record: Record
    part: slice
    charge_Ah: float


def pair(
    records: list[Record], nominal_Ah: float, units: UnitFix
) -> tuple[list[tuple[Charge | None, Record]], list[Rejected]]:
    """(charge, discharge) of every cycle by the rule above, and what was left out or mended."""
    pairs: list[tuple[Charge | None, Record]] = []
    rejected = [Rejected(r.name, r.mended) for r in records if r.mended]
    has_charges = any(r.kind == "charge" for r in records)
    waiting: list[Charge] = []
    charged = not has_charges
    for record in records:
        fault = record.fault
        if record.kind == "charge":
            charged = True
            found = _charge(record, units)
            if isinstance(found, Charge):
                waiting.append(found)
            else:
                fault = found
        elif not fault and not record.capacity_Ah >= EMPTY * nominal_Ah:
            fault = f"a discharge of no capacity ({record.capacity_Ah:.3g} Ah): not part of a cycle"
        elif not fault and not charged and not pairs:
            fault = f"a discharge before the first charge ({record.capacity_Ah:.3f} Ah): not part of a cycle"
        elif not fault and not charged and record.capacity_Ah < _CHARGED_UNSEEN * pairs[-1][1].capacity_Ah:
            fault = f"a second discharge in a row ({record.capacity_Ah:.3f} Ah): the rest of the one before"
        elif not fault:
            if not charged:
                reason = "a second full discharge in a row: its charge was not recorded"
                rejected.append(Rejected(record.name, f"{reason}, cycle {len(pairs) + 1} has none"))
            best = max(waiting, key=lambda c: c.charge_Ah, default=None)
            for other in waiting:
                if other is not best:
                    reason = f"a charge ({other.charge_Ah:.3f} Ah) beside a fuller one before the same discharge"
                    rejected.append(Rejected(other.record.name, reason))
            if best and best.charge_Ah < _FROM_EMPTY * record.capacity_Ah:
                reason = f"a charge of {best.charge_Ah:.3f} Ah before a discharge of {record.capacity_Ah:.3f} Ah"
                rejected.append(Rejected(best.record.name, f"{reason}: it did not start from an empty cell"))
                best = None
            pairs.append((best, record))
            waiting, charged = [], not has_charges
        if fault:
            rejected.append(Rejected(record.name, fault))
    rejected += [Rejected(c.record.name, "a last charge that no discharge follows: no whole cycle") for c in waiting]
    return pairs, rejected + _trimmed([charge for charge, _ in pairs if charge])


def _charge(record: Record, units: UnitFix) -> Charge | str:
    """What of a charge record is the charge, or why it is none."""
    if record.fault:
        return record.fault
    current = record.current * units.current_factor
    on = current > _CHARGE_ON
    sustained = np.flatnonzero(np.convolve(on, np.ones(_SUSTAINED), mode="valid") == _SUSTAINED)
    if sustained.size == 0:
        return "a charge without sustained positive current"
    part = slice(int(sustained[0]), int(sustained[-1]) + _SUSTAINED)
    if part.stop - part.start < _MIN_SAMPLES:
        return f"a charge of only {part.stop - part.start} samples"
    if (last := float(current[part][-_SUSTAINED:].min())) > _CUT_OFF:
        return f"this charge is truncated: it ends at {last:.2f} A, before its cut-off"
    return Charge(record, part, float(_integral(record.time[part] * units.time_factor, current[part])[-1]))


def _trimmed(charges: list[Charge]) -> list[Rejected]:
    """One entry for all samples that were cut from both ends of charge records."""
    before = sum(c.part.start for c in charges)
    after = sum(len(c.record.time) - c.part.stop for c in charges)
    if not before and not after:
        return []
    reason = f"{before} transient samples before the charge and {after} of rest after its cut-off dropped"
    return [Rejected(f"{len(charges)} charges", reason)]


def make_cycle(number: int, charge: Charge | None, discharge: Record, units: UnitFix) -> tuple[Cycle, list[float]]:
    """The cycle and its row of the summary (`SUMMARY`, then ambient_degC and the mean current under load, in A).

    Time runs from the start of the charge by the clock of the test, so the rest before the discharge is a gap.
    """
    nan = float("nan")
    time = discharge.time * units.time_factor
    current = discharge.current * units.current_factor
    load = np.flatnonzero(current < -_DISCHARGE_ON)
    span = (int(load[0]), int(load[-1]) + 1) if load.size else (0, 0)
    out = np.zeros(len(time))
    out[slice(*span)] = _integral(time[slice(*span)], -current[slice(*span)])
    out[span[1] :] = out[span[1] - 1] if span[1] else 0.0
    n, charge_Ah, charge_s = 0, nan, nan
    columns = {
        "time_s": time - time[0],
        "voltage_V": discharge.voltage,
        "current_A": current,
        "temperature_degC": discharge.temperature,
        "charge_capacity_Ah": np.zeros(len(time)),
        "discharge_capacity_Ah": out,
    }
    if charge:
        raw, part = charge.record, charge.part
        n, charge_Ah = part.stop - part.start, charge.charge_Ah
        charge_time = (raw.time[part] - raw.time[part.start]) * units.time_factor
        charge_s = float(charge_time[-1])
        # where the clock is unknown or contradicts the length of the charge, the discharge follows at once
        gap = discharge.start - raw.start + (discharge.time[0] - raw.time[part.start]) * units.time_factor
        after = gap if gap >= charge_s else charge_s
        charge_current = raw.current[part] * units.current_factor
        first = {
            "time_s": charge_time,
            "voltage_V": raw.voltage[part],
            "current_A": charge_current,
            "temperature_degC": raw.temperature[part],
            "charge_capacity_Ah": _integral(charge_time, charge_current),
            "discharge_capacity_Ah": np.zeros(n),
        }
        columns["time_s"] = columns["time_s"] + after
        columns["charge_capacity_Ah"] += charge_Ah
        columns = {name: np.concatenate([first[name], second]) for name, second in columns.items()}
    signals = {name: values.astype(np.float32) for name, values in columns.items()}
    temperature = columns["temperature_degC"]
    row = [
        number,
        discharge.capacity_Ah,
        charge_Ah,
        discharge.capacity_Ah / charge_Ah,
        load_step_resistance_Ohm(discharge.voltage, current, span, _LOAD_STEP),
        _relaxation_drop_V(charge, discharge, span),
        charge_s,
        float(temperature.min()),
        float(temperature.mean()),
        float(temperature.max()),
        discharge.ambient_degC,
        mean_current_A(time, current, current < -_DISCHARGE_ON),
    ]
    return Cycle(number, signals, (0, n), (n + span[0], n + span[1])), row


def _relaxation_drop_V(charge: Charge | None, discharge: Record, load: Span) -> float:
    """Last voltage of the charge less that of the last sample before the load; NaN without either.

    The charge record ends some minutes into the rest, the discharge record starts two samples before its end.
    """
    if charge is None or load[0] == 0:
        return float("nan")
    return float(charge.record.voltage[charge.part][-1] - discharge.voltage[load[0] - 1])


def common_load(pairs: list[tuple[Charge | None, Record]], units: UnitFix) -> float:
    """The discharge current (A) that most of the cell's discharges share within 10 %, NaN when they do not."""
    loads = []
    for _, record in pairs:
        current = -record.current * units.current_factor
        loads.append(float(np.median(current[current > _DISCHARGE_ON])) if np.any(current > _DISCHARGE_ON) else 0.0)
    typical = float(np.median(loads))
    shared = np.abs(np.array(loads) - typical) <= 0.1 * typical
    return typical if shared.mean() > 0.9 else float("nan")


def _integral(time_s: np.ndarray, current_A: np.ndarray) -> np.ndarray:
    """Cumulative integral of I dt in Ah (n,), by trapezia, 0 at the first sample."""
    return np.concatenate([[0.0], np.cumsum(np.diff(time_s) * (current_A[1:] + current_A[:-1]) / 2)]) / 3600
