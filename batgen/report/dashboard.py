"""The W&B workspace of a project as code: built, written as JSON and read again without network or key.

Panels name what the loggers write: keys of each epoch ("val/crps"), main numbers of the summary ("test/CRPS/Total", of
`published`), tables and images of a part, and keys of the run's config. W&B has no heatmap panel: heatmaps are images of the
collected sweep.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batgen.report.headline import CHOICES

#: What a run is grouped by: its model as tables name it. One class may be several models.
MODEL = "model_name"
#: What adversarial trainings and folds are drawn over. The number of a log entry ("Step") jumps where a run was gone on with.
STEP = "trainer/global_step"
#: Keys of each epoch, and what they are.
EPOCHS = {
    "train/loss": "Training loss",
    "val/loss": "Validation loss",
    "val/crps": "Validation CRPS, draws from the prior (scaled)",
    "val/mae": "Validation MAE, reconstruction (scaled)",
}
#: Keys of adversarial trainings, by generator steps.
STEPS = {
    "train/critic_loss": "Critic loss",
    "train/generator_loss": "Generator loss",
    "val/energy_score": "Energy score on validation rows",
    "search/val/energy_score": "Energy score on validation rows, search for the step",
}
#: Losses of parts that train several models: of folds and of stages.
PARTS_OF_RUNS = r"^.+/(train|val)/(loss|crps|mae|critic_loss|energy_score)$"
#: Main numbers on test rows, those that every table of runs knows a run by. Lower is better.
HEADLINES = {f"test/{choice.key}": f"{choice.family}: {choice.title}" for choice in CHOICES if choice.key}
#: The table of all metric rows, the baselines' included, the table of generated curves, and their plot.
METRICS, SAMPLES, SAMPLES_PLOT = "metrics", "samples", "figures/samples"


@dataclass(frozen=True)
class SearchAxis:
    """A parameter of a search: its key in the config, and whether its scale is logarithmic."""

    key: str
    log: bool = False


@dataclass(frozen=True)
class Search:
    """A search of the project: what it minimises ("val/crps") over which parameters."""

    name: str
    objective: str
    axes: tuple[SearchAxis, ...]


@dataclass(frozen=True)
class Ablation:
    """An ablation of the project: the kind of data of its model ("curves"), and the config keys that it varies."""

    name: str
    family: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What a dashboard shows beside the panels that all have. group: of one sweep only; heatmaps: keys of the images that a
    collected sweep was published under."""

    group: str | None = None
    searches: Sequence[Search] = ()
    ablations: Sequence[Ablation] = ()
    heatmaps: Sequence[str] = ()


def workspace(project: str, entity: str, contents: Contents) -> Any:
    """A `wandb_workspaces.workspaces.Workspace` of five sections; the same arguments give the same ids."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    sections = [
        ws.Section(name="Training curves by model", panels=_training(), is_open=True),
        ws.Section(name="Metrics against baselines", panels=_metrics(), is_open=True),
        ws.Section(name="Ablations", panels=_ablations(contents), is_open=True),
        ws.Section(name="Searches", panels=_searches(contents.searches)),
        ws.Section(name="Generated samples", panels=_samples(), is_open=True),
    ]
    for number, section in enumerate(sections):
        panel: Any
        for place, panel in enumerate(section.panels):
            panel._id = hashlib.sha256(f"{number}/{place}".encode()).hexdigest()[:12]
    filters = expr.And(expr.Metric("Group") == contents.group) if contents.group else ""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"batgen: {contents.group}" if contents.group else "batgen",
        sections=sections,
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=filters, pinned_columns=["run:displayName", *(f"summary:{key}" for key in HEADLINES)]
        ),
    )


def as_json(made: Any) -> dict[str, Any]:
    """The workspace as W&B stores it, in plain containers."""
    content: dict[str, Any] = made._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    return content


def from_json(content: Mapping[str, Any]) -> Any:
    """The workspace that `as_json` wrote. Raises ValueError where it is none."""
    from wandb_workspaces.workspaces import Workspace
    from wandb_workspaces.workspaces.internal import View

    return Workspace._from_model(View.model_validate(content))


def _training() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    by_model: dict[str, Any] = {
        "groupby": wr.Config(MODEL), "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax", "max_runs_to_show": 100,
    }  # fmt: skip
    return [
        *(wr.LinePlot(title=title, x=wr.Metric("epoch"), y=[key], **by_model) for key, title in EPOCHS.items()),
        *(wr.LinePlot(title=title, x=wr.Metric(STEP), y=[key], **by_model) for key, title in STEPS.items()),
        wr.LinePlot(title="Folds and stages", x=wr.Metric(STEP), metric_regex=PARTS_OF_RUNS, max_runs_to_show=100),
    ]


def _metrics() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    return [
        wr.WeavePanelSummaryTable(table_name=METRICS),
        *(_bars(f"{title}, by model", key, MODEL) for key, title in HEADLINES.items()),
        wr.RunComparer(diff_only="split"),
    ]


def _ablations(contents: Contents) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    varied = dict.fromkeys((key, ablation.family) for ablation in contents.ablations for key in ablation.keys)
    main = {choice.key: choice for choice in CHOICES if choice.key}
    bars = [
        _bars(f"{choice.title} by {key}", f"test/{number}", key)
        for key, family in varied
        for number, choice in main.items()
        if choice.family == family
    ]
    if contents.heatmaps:
        return [wr.MediaBrowser(title="Heatmaps", media_keys=list(contents.heatmaps), num_columns=1), *bars]
    how = (
        "Heatmaps of an ablation are images of its collected table: `python scripts/collect.py sweep=DIR`, then "
        "`python scripts/dashboard.py collected=DIR`."
    )
    return [wr.MarkdownPanel(markdown=how), *bars]


def _searches(searches: Sequence[Search]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    panels: list[Any] = []
    for search in searches:
        columns = [
            *(wr.ParallelCoordinatesPlotColumn(wr.Config(a.key), log=a.log or None) for a in search.axes),
            wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(search.objective)),
        ]
        panels.append(wr.ParallelCoordinatesPlot(title=f"search={search.name}: {search.objective}", columns=columns))
    objectives = dict.fromkeys(search.objective for search in searches)
    return [*panels, *(wr.ParameterImportancePlot(with_respect_to=key) for key in objectives)]


def _samples() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    return [
        wr.MediaBrowser(
            title="Generated beside measured", media_keys=[SAMPLES_PLOT], mode="gallery", gallery_axis="run"
        ),
        wr.WeavePanelSummaryTable(table_name=SAMPLES),
    ]


def _bars(title: str, metric: str, by: str) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.BarPlot(
        title=title, metrics=[wr.SummaryMetric(metric)], groupby=wr.Config(by),
        groupby_aggfunc="mean", groupby_rangefunc="minmax", max_runs_to_show=500, max_bars_to_show=50,
    )  # fmt: skip
