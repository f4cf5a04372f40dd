"""Where generated rows lie among measured ones: t-SNE of pulse voltages."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from batgen.report.figures.style import ORDERED, sheet, styled
from batgen.report.pulse_part import PulsePart, Setting

#: Rows of each kind on the map, measured and one draw each.
_ROWS = 300
_FEWEST = 10


@styled
def draw_pulse_tsne(part: PulsePart, setting: Setting, seed: int = 0) -> Figure | None:
    """t-SNE of standardised voltages: measured rows and one draw for the conditions of each, coloured by SOC.

    Shows the case with the fewest training SOCs. The scaling is that of the measured rows. None below 10 rows.
    """
    from sklearn.manifold import TSNE  # slow to import
    from threadpoolctl import threadpool_limits

    found = [rows for rows in part.generated if rows.setting == setting and len(rows.generated)]
    if not found:
        return None
    rows = min(found, key=lambda r: (len(part.train_soc(r.case)) or np.inf, r.case))
    known = np.flatnonzero(np.isfinite(rows.measured).all(axis=1) & np.isfinite(rows.generated[0]).all(axis=1))
    if len(known) < _FEWEST:
        return None
    picked = np.sort(np.random.default_rng(seed).permutation(known)[:_ROWS])
    measured = rows.measured[picked]
    volts = np.concatenate([measured, rows.generated[0, picked]])
    scale = np.where(measured.std(axis=0) > 0, measured.std(axis=0), 1.0)
    # One thread: t-SNE's short parallel loops spend their time waiting wherever a core is busy.
    with threadpool_limits(1):
        scaled = (volts - measured.mean(axis=0)) / scale
        perplexity = min(30.0, (len(scaled) - 1) / 3)
        places = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(scaled)
    figure, axes = sheet(1, 1, 7.0, 5.2, f"Measured and generated rows, case {rows.case}: {part.title(setting)}")
    ax = axes[0, 0]
    soc = 100 * rows.soc[picked]
    kinds = (("measured", places[: len(picked)], "o", 26), ("generated, one draw", places[len(picked) :], "x", 22))
    for _, spots, marker, size in kinds:
        points = ax.scatter(
            *spots.T, c=soc, cmap=ORDERED, marker=marker, s=size, alpha=0.8, lw=0 if marker == "o" else 1.1
        )
    figure.colorbar(points, ax=ax, label="SOC [%]")
    handles = [Line2D([], [], ls="", marker=marker, color="#444444", label=text) for text, _, marker, _ in kinds]
    ax.legend(handles=handles)
    ax.set_title(f"t-SNE of {len(picked)} of {len(rows.soc)} rows of each kind", loc="left", color="#444444")
    ax.set(xlabel="t-SNE 1", ylabel="t-SNE 2", xticks=[], yticks=[])
    return figure
