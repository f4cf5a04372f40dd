"""Baseline forecasters: closed forms, what lies after the cut, and the figures on the measured MIT cells."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from batgen.errors import ConfigError
from batgen.evaluation.clamp import clamp_rmse
from batgen.evaluation.forecast import Forecast, percent_of_nominal
from batgen.evaluation.point_scores import point_errors
from batgen.models.linear_extrapolation import LinearExtrapolation
from batgen.models.mean_trajectory import MeanTrajectory
from batgen.models.nearest_trajectory import NearestTrajectory
from batgen.models.persistence import Persistence
from batgen.models.stretched_mean import StretchedMean
from batgen.models.trajectory import Trajectory, continued, last_slope

NAN = float("nan")
ALL: dict[str, Callable[[], Any]] = {
    "persistence": Persistence,
    **{f"mean {a} {b}": lambda a=a, b=b: MeanTrajectory(a, b) for a in ("alive", "held", "extended") for b in (0, 1)},
    "linear": LinearExtrapolation,
    "nearest held": NearestTrajectory,
    "nearest extended": lambda: NearestTrajectory("extended"),
    "stretched": StretchedMean,
}


def cell(name: str, life: int, power: float = 2.0, scale: float = 1.0, noise: float = 0.0) -> Trajectory:
    """From `scale` to 0.8 x `scale` at `life`, as (t / life)^power; its static at cycle t is log(life), from cycle 5 on."""
    cycle = np.arange(1, life + 1)
    value = scale * (1 - 0.2 * (cycle / life) ** power)
    value = value + noise * np.random.default_rng(life).normal(size=life)
    static = np.where(cycle < 5, NAN, np.log(life))
    return Trajectory(name, cycle, value, float(life), {"early": static})


def fitted(make: Callable[[], Any], cells: list[Trajectory] | None = None) -> Any:
    model = make()
    model.fit(cells or [cell(str(life), life) for life in (100, 200, 300, 400)])
    return model


@pytest.mark.parametrize("name", ALL)
def test_nothing_after_the_cut_is_looked_at(name: str) -> None:
    """Other values, statics and end of life after the cut, or none at all: the same forecast. Before it: another one."""
    model, whole, cycles = fitted(ALL[name]), cell("new", 250, noise=0.002), np.arange(51, 500)
    late = whole.cycle > 50
    changed = Trajectory(
        "new",
        whole.cycle,
        np.where(late, 0.1, whole.value),
        60.0,
        {"early": np.where(late, 9.0, whole.statics["early"])},
    )
    first = model.forecast(whole, 50, cycles)
    assert first.shape == (len(cycles),)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(model.forecast(changed, 50, cycles), first)
    np.testing.assert_array_equal(model.forecast(whole.until(50), 50, cycles), first)
    assert model.ACCEPTS == ("sequences",)
    if name not in ("mean alive 0", "mean held 0", "mean extended 0"):
        before = Trajectory("new", whole.cycle, whole.value * np.where(whole.cycle > 40, 0.9, 1), NAN, whole.statics)
        assert not np.allclose(model.forecast(before, 50, cycles), first)


@pytest.mark.parametrize("name", ALL)
def test_masked_values_and_strides_are_fine(name: str) -> None:
    model, whole = fitted(ALL[name]), cell("new", 250)
    masked = Trajectory(
        "new", whole.cycle, np.where(whole.cycle % 7 == 0, NAN, whole.value), NAN, dict(whole.statics)
    )  # fmt: skip
    dense = model.forecast(masked, 50, np.arange(51, 300))
    assert np.isfinite(dense).all()
    np.testing.assert_allclose(model.forecast(masked, 50, np.arange(55, 300, 5)), dense[4::5], rtol=1e-12)


def test_persistence() -> None:
    one = Trajectory("a", np.arange(1, 8), np.array([9, 1, 2, NAN, 3, 4, 99.0]))
    np.testing.assert_array_equal(Persistence(last=3).forecast(one, 6, np.array([7, 900])), [3, 3])
    with pytest.raises(ConfigError, match="last=0"):
        Persistence(last=0)
    with pytest.raises(ValueError, match="no value is known up to cycle 0"):
        Persistence().forecast(one, 0, np.array([7]))


def test_three_means() -> None:
    """Lines of slope -1 from 10 that end at cycles 3 and 6."""
    cells = [Trajectory(str(n), np.arange(1, n + 1), 10.0 - np.arange(1, n + 1)) for n in (3, 6)]
    asked = np.array([2, 4, 6, 8])
    new = Trajectory("new", np.arange(1, 3), np.array([5.0, 4.0]))
    for after, expected in (("alive", [8, 6, 4, 4]), ("held", [8, 6.5, 5.5, 5.5]), ("extended", [8, 6, 4, 2])):
        model = fitted(lambda after=after: MeanTrajectory(after), cells)
        np.testing.assert_allclose(model.forecast(new, 1, asked), expected)
        # the mean is 9, 8 where the cell is 5, 4
        aligned = fitted(lambda after=after: MeanTrajectory(after, align=True), cells)
        np.testing.assert_allclose(aligned.forecast(new, 2, asked), np.array(expected) - 4, atol=1e-12)
    with pytest.raises(ConfigError, match="after='dead'"):
        MeanTrajectory("dead")
    with pytest.raises(ValueError, match="no training cells"):
        MeanTrajectory().fit([])


def test_continuation() -> None:
    one = Trajectory("a", np.arange(1, 102), np.r_[np.full(91, 5.0), 5 - 0.1 * np.arange(1, 11)])
    assert last_slope(*one.known()) == pytest.approx(-0.1)
    np.testing.assert_allclose(continued(one, np.array([0, 50, 101, 111]), "extended"), [5, 5, 4, 3])
    np.testing.assert_allclose(continued(one, np.array([111]), "held"), [4])
    assert np.isnan(continued(one, np.array([111]), "alive")).all()
    assert last_slope(np.array([3.0]), np.array([1.0])) == 0
    assert last_slope(np.array([1.0, 101.0]), np.array([2.0, 1.0])) == pytest.approx(-0.01)  # two points at least
    with pytest.raises(ValueError, match="a: every value is masked"):
        Trajectory("a", np.arange(2), np.full(2, NAN)).known()


def test_linear_extrapolation() -> None:
    """A kink before the window is not seen; the window counts known values, not cycles."""
    cycle = np.arange(1, 41)
    one = Trajectory("a", cycle, np.where(cycle <= 20, 7.0, 2 - 0.01 * cycle))
    np.testing.assert_allclose(LinearExtrapolation().forecast(one, 40, np.array([41, 100])), [1.59, 1.0])
    sparse = Trajectory("a", 100 * cycle, np.where(cycle <= 20, 7.0, 2 - 0.01 * cycle))
    np.testing.assert_allclose(LinearExtrapolation().forecast(sparse, 4000, np.array([10000])), [1.0])
    assert LinearExtrapolation().forecast(one, 1, np.array([5]))[0] == 7
    with pytest.raises(ConfigError, match="window=1"):
        LinearExtrapolation(window=1)


def test_nearest_is_by_shape_and_goes_through_the_last_values() -> None:
    model = fitted(NearestTrajectory, [cell("short", 100), cell("long", 400), cell("ended", 40)])
    new = cell("new", 110, scale=0.9)  # its level is nearer to neither
    assert model.nearest(new, 50).cell_id == "short"
    forecast = model.forecast(new, 50, np.array([51, 100, 300]))
    shift = np.mean([new.value[t - 1] - model.cells[0].value[t - 1] for t in range(46, 51)])
    np.testing.assert_allclose(forecast, np.array([model.cells[0].value[50], 0.8, 0.8]) + shift)
    assert model.nearest(cell("ended like", 40), 40).cell_id == "short"  # the one that ended has no continuation
    assert model.nearest(new, 1000).cell_id == "short"  # all ended
    with pytest.raises(ConfigError, match="after='alive'"):
        NearestTrajectory("alive")


def test_stretched_mean_finds_the_life_of_a_stretched_cell() -> None:
    """All cells are one curve over the share of life, and the static is the log of life: an exact forecast."""
    model = fitted(StretchedMean, [cell(str(n), n) for n in range(100, 500, 40)])
    new = cell("new", 310)
    assert model.life(new, 50) == pytest.approx(310, rel=0.01)
    forecast = model.forecast(new, 50, new.cycle[50:])
    assert np.abs(forecast - new.value[50:]).max() < 0.004
    # a cell that starts 0.05 higher keeps it at first and has lost it at the end
    higher = Trajectory("high", new.cycle, new.value + 0.05, NAN, new.statics)
    late = model.forecast(higher, 50, np.array([51, 310])) - model.forecast(new, 50, np.array([51, 310]))
    np.testing.assert_allclose(late, [0.05, 0], atol=1e-3)
    beyond = model.forecast(new, 50, np.array([310, 620]))
    assert beyond[1] - beyond[0] == pytest.approx(-2 * 0.2 * 0.75, rel=0.05)  # (1/2)^2 of the fade is the first half
    # life is never over at the cut
    assert model.life(cell("dead", 100), 300) == 301


def test_stretched_mean_refuses() -> None:
    bare = [Trajectory(c.cell_id, c.cycle, c.value, c.eol_cycle) for c in (cell(str(n), n) for n in (100, 200, 300))]
    with pytest.raises(ValueError, match="have none in common"):
        StretchedMean().fit(bare)
    with pytest.raises(ValueError, match="100 has no static policy"):
        StretchedMean(["policy"]).fit([cell(str(n), n) for n in (100, 200, 300)])
    with pytest.raises(ValueError, match="2 training cells with a known end"):
        StretchedMean().fit([cell("a", 100), cell("b", 200), Trajectory("c", np.arange(9), np.ones(9))])
    model = fitted(StretchedMean)
    with pytest.raises(ValueError, match="100 has no static early"):
        model.forecast(bare[0], 50, np.array([60]))
    with pytest.raises(ValueError, match=r"0 training cells have all statics at cycle 4 \(not all have early\)"):
        model.forecast(cell("new", 250), 4, np.array([60]))
    # a cell whose static is not known at the cut is an average one
    unknown = cell("new", 250)
    unknown = Trajectory("new", unknown.cycle, unknown.value, NAN, {"early": np.full(250, NAN)})
    assert model.life(unknown, 50) == pytest.approx(np.exp(np.mean(np.log([100, 200, 300, 400]))), rel=1e-6)


def measured(model: Any, cells: list[Trajectory], cut: int = 100) -> list[Forecast]:
    cycle = np.arange(cut + 1, 2301)
    made = []
    for one in cells:
        truth, late = np.full(len(cycle), NAN), one.cycle > cut
        truth[one.cycle[late] - cut - 1] = one.value[late]
        line = np.repeat(model.forecast(one, cut, cycle)[:, None], 3, axis=1)
        known = {"observed_cycle": one.cycle[~late], "observed": one.value[~late], "nominal_capacity_Ah": 1.1}
        known |= {"eol_value": 0.88, "truth_eol_cycle": one.eol_cycle, "truth_last_cycle": int(one.cycle[-1])}
        made.append(
            Forecast(
                one.cell_id, "x", "discharge_capacity_Ah", cut, cycle, np.array([0.1, 0.5, 0.9]), line, truth, **known
            )
        )
    return [percent_of_nominal(f) for f in made]


def test_on_the_measured_mit_cells(data_dir: Any) -> None:
    """Given 100 cycles of the published split, % of nominal, mean over cells: the figures of issue 4, glitches masked."""
    from batgen.data.sources.mit_summary import MitSummary

    source, cells = MitSummary(percycle_folder=None), {}
    for found in source.cells():
        table = found.summary
        value = table["discharge_capacity_Ah"]
        clean = value.where((value - value.rolling(10, min_periods=1).median()).abs() <= 0.022).to_numpy()
        statics = {n: table[n].to_numpy() for n in table if n.startswith("delta_q_log10")}
        info = found.info
        cells[info.cell_id] = Trajectory(info.cell_id, table["cycle"].to_numpy(int), clean, info.eol_cycle, statics)
    parts = {part: [cells[i] for i in ids] for part, ids in source.parts().items()}

    def scores(make: Callable[[], Any], part: str) -> list[float]:
        forecasts = measured(fitted(make, parts["train"]), parts[part])
        errors = [point_errors(forecasts, metric).mean() for metric in ("RMSE", "MAE")]
        return [*errors, clamp_rmse(forecasts, 1500).mean()]

    assert scores(lambda: MeanTrajectory("alive"), "test")[:2] == pytest.approx([3.91, 2.96], abs=0.03)
    assert scores(lambda: MeanTrajectory("alive"), "secondary")[:2] == pytest.approx([3.33, 2.58], abs=0.03)
    assert scores(lambda: MeanTrajectory("held", align=True), "test")[:2] == pytest.approx([3.84, 2.92], abs=0.03)
    assert scores(NearestTrajectory, "test") == pytest.approx([3.08, 2.11, 2.45], abs=0.1)
    assert scores(LinearExtrapolation, "secondary")[:2] == pytest.approx([3.69, 2.08], abs=0.03)
    # with Q(V) the stretched curve beats all of them
    assert scores(StretchedMean, "test")[2] < 2.0
    assert scores(StretchedMean, "secondary")[0] < 2.5
