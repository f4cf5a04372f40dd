"""Rows of the physics: how many generated curves pass each check, beside how many measured ones do."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from batgen.data.curve_set import CurveSet
from batgen.evaluation.ageing_trend import trend_agreement
from batgen.evaluation.comparison import Comparison
from batgen.evaluation.physics_checks import Check, checks_for
from batgen.evaluation.reconstruction import mean_of_known
from batgen.evaluation.score_rows import per_row

#: Draws of each row that are checked, and the pass rate of measured curves below which a row says that it is low.
_DRAWS, _FIT = 4, 0.95


def physics_rows(comparison: Comparison, seed: int, context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Metric "pass_rate", signal = name of the check: a share of the curves, higher is better. Floor: of held-out ones.

    Of each generated row, up to 4 draws are checked. Tolerances come from the measured training curves, see `physics_checks`;
    from the held-out ones where no training curves are at hand, which a note then says. A check that applies to no measured
    curve gives no row. The interval is a bootstrap over cells. "ageing_trend" is a share of cells, see `ageing_trend`.
    """
    about = {**context, "family": "physics"}
    trained = comparison.train is not None and len(comparison.train) > 0
    reference = comparison.train if comparison.train is not None and trained else comparison.real
    source = "" if trained else "tolerances from the held-out measured curves: no training curves"
    rows: list[dict[str, Any]] = []
    for check in checks_for(reference):
        floor = check.passes(comparison.real, measured=True)
        value = pass_shares(check, comparison)
        if np.isnan(floor).all() or np.isnan(value).all():
            continue
        rate = mean_of_known(floor)
        low = f"of measured held-out curves only {rate:.0%} pass: compare with that" if rate < _FIT else ""
        note = "; ".join(filter(None, (source, low)))
        told = {**about, "note": note} if note else about
        rows += per_row("pass_rate", {check.name: value}, {check.name: floor}, comparison.generated.cells, seed, told)
    return rows + _trend_rows(comparison, seed, about)


def pass_shares(check: Check, comparison: Comparison) -> np.ndarray:
    """Share of the draws of each generated row (M,) that pass a check, over up to 4 draws; NaN where it applies to none."""
    if comparison.draws is None:
        return check.passes(comparison.generated)
    passed = np.stack([check.passes(comparison.real.with_values(one)) for one in comparison.draws[:_DRAWS]])
    known = ~np.isnan(passed)
    share = np.where(known, passed, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), share, np.nan)


def _trend_rows(comparison: Comparison, seed: int, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = trend_agreement(comparison.real, _sets(comparison))
    if found is None:
        return []
    agreement, cells = found
    floors = None
    if comparison.neighbour is not None:
        beside = comparison.real.with_values(comparison.neighbour.values)
        near = trend_agreement(comparison.real, [beside])
        floors = {"ageing_trend": near[0]} if near is not None else None
    return per_row("pass_rate", {"ageing_trend": agreement}, floors, cells, seed, about)


def _sets(comparison: Comparison) -> list[CurveSet]:
    """Generated curves of which the mean is the conditional mean: all draws, or those there are."""
    if comparison.draws is None:
        return [comparison.generated]
    return [comparison.real.with_values(one) for one in comparison.draws]
