"""Some generated curves beside the measured ones, for dashboards: one panel a test row and signal, whatever the family."""

from matplotlib.figure import Figure

from batgen.report.examples import Example
from batgen.report.figures.style import CYCLE, MEASURED, sheet, styled


@styled
def draw_examples(examples: list[Example], title: str) -> Figure | None:
    """Rows of panels are test rows, columns signals; None without examples."""
    rows, signals = (list(dict.fromkeys(getattr(e, name) for e in examples)) for name in ("row", "signal"))
    if not examples:
        return None
    figure, axes = sheet(len(rows), len(signals), 3.6, 2.2, f"Generated beside measured: {title}")
    for ax in axes.flat:
        ax.set_visible(False)
    for example in examples:
        ax = axes[rows.index(example.row), signals.index(example.signal)]
        ax.set_visible(True)
        for place, (name, (x, y)) in enumerate(example.lines.items()):
            look = {"color": MEASURED, "lw": 3.2} if name == "measured" else {"color": CYCLE[place - 1], "lw": 0.9}
            ax.plot(x, y, label=name, **look)
        ax.set(xlabel=example.x_name, ylabel=example.signal)
        ax.set_title(example.row, loc="left", color="#444444", fontsize=8)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
