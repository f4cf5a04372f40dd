"""MAPE of SOH by test SOC: our estimators, the baselines and the published mean."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from batgen.report.figures.style import CYCLE, sheet, styled
from batgen.report.pulse_part import PulsePart, Setting, soc_levels

_OURS = ("inversion", "generated", "generated+measured", "average", "inversion+GP", "published_forest")
_BASELINES = ("surface", "gaussian_process", "ridge", "forest", "nearest_soc", "constant")
_GREYS = ("#222222", "#444444", "#666666", "#888888", "#A0A0A0", "#BBBBBB")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1)), "--", ":", "-.", (0, (6, 3)))
_COLUMNS = 4
_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


@styled
def draw_pulse_mape(part: PulsePart, setting: Setting, test_set: str = "grid") -> Figure | None:
    """A panel a case, on a log axis: ours in colour, baselines in grey, the published mean of its test SOCs as a line.

    Triangles above the axis are the training SOCs. SOCs off the grid are joined to steps of 5 %.
    """
    table = part.predictions
    chosen = (table["battery"] == setting.battery) & (table["calibration"] == setting.calibration)
    chosen &= table["prior"].isin([setting.prior, "any"]) & (table["test_set"] == test_set)
    table = table[chosen & table["estimate"].notna() & (table["soh"] > 0)]
    if table.empty:
        return None
    error = 100 * (table["estimate"] - table["soh"]).abs() / table["soh"]
    table = table.assign(error=error, level=soc_levels(table["soc"].to_numpy()))
    means = table.groupby(["case", "method", "level"])["error"].mean()
    cases = list(dict.fromkeys(table["case"]))
    columns = min(_COLUMNS, len(cases))
    title = f"MAPE of SOH by test SOC{'' if test_set == 'grid' else ', SOCs off the grid'}: {part.title(setting)}"
    figure, axes = sheet(-(-len(cases) // columns), columns, 5.5 if columns == 1 else 3.3, 3.0, title)
    for ax, case in zip(axes.flat, cases, strict=False):
        _panel(ax, means.loc[case])
        if test_set == "grid":
            _published(ax, part, setting, case)
        _training(ax, part.train_soc(case))
        ax.set_title(f"case {case}", loc="left", color="#444444")
        ax.set_xlabel("SOC [%]")
    _log_axes(list(axes.flat[: len(cases)]))
    for ax in axes[:, 0]:
        ax.set_ylabel("MAPE of SOH [%]")
    for ax in axes.flat[len(cases) :]:
        ax.set_visible(False)
    entries = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=6 if columns > 2 else 3)
    return figure


def _panel(ax: Axes, means: pd.Series) -> None:
    there = means.index.get_level_values("method").unique()
    for place, method in enumerate(_BASELINES):
        if method in there:
            curve = means.loc[method]
            ax.plot(
                curve.index, curve, color=_GREYS[place], ls=_DASHES[place], lw=1.3, marker=".", ms=3.5, label=method
            )
    for place, method in enumerate(_OURS):
        if method in there:
            curve = means.loc[method]
            ax.plot(curve.index, curve, color=CYCLE[place], lw=1.8, marker="o", ms=4, label=method)


def _published(ax: Axes, part: PulsePart, setting: Setting, case: str) -> None:
    for row in part.metrics:
        if (row.get("role"), row.get("method"), row.get("battery"), str(row.get("case"))) == (
            "paper", "published_with", setting.battery, case,
        ):  # fmt: skip
            ax.axhline(
                float(row["value"]), color="#D55E00", lw=1.2, ls=(0, (1, 1)), label="published mean (paper split)"
            )
            return


def _training(ax: Axes, socs: list[float]) -> None:
    if socs:
        ax.plot(
            100 * np.array(socs), np.full(len(socs), 0.035), "^", color="#009E73", ms=6, clip_on=False,
            transform=ax.get_xaxis_transform(), label="training SOC",
        )  # fmt: skip


def _log_axes(axes: list[Axes]) -> None:
    """One log scale for all panels, with round numbers at its ticks and room for the triangles."""
    for ax in axes:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(FixedLocator(_TICKS))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    limits = np.array([ax.get_ylim() for ax in axes])
    low, high = limits[:, 0].min(), limits[:, 1].max()
    for ax in axes:
        ax.set_ylim(low / (high / low) ** 0.08, high)
