"""Finished runs as comparisons: the right curves, no leak, the same draws for the same seed."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from batgen.compared import family_of, judged, open_run
from batgen.compared.judged import EvaluateSettings, Judged
from batgen.errors import CheckpointError, ConfigError
from tests.evaluated_runs import RUNS, shared_cache, trained

SETTINGS = EvaluateSettings(rows=40, draws=3)


@pytest.fixture(scope="module", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for this module, in place of a fresh one a test: the store is built once."""
    with shared_cache(tmp_path_factory.mktemp("cache")) as folder:
        yield folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {family: trained(family, folder / family) for family in RUNS}


@pytest.fixture(params=list(RUNS))
def run(request: pytest.FixtureRequest, runs: dict[str, Path]) -> Path:
    return runs[str(request.param)]


def all_of(run: Path, settings: EvaluateSettings = SETTINGS) -> list[Judged]:
    return list(judged(run, open_run(run), settings))


@pytest.fixture(scope="module")
def opened(runs: dict[str, Path]) -> dict[str, list[Judged]]:
    """Family -> its test sets, opened once: what most tests look at."""
    return {family: all_of(run) for family, run in runs.items()}


def test_every_family_gives_curves_of_one_shape_in_physical_units(run: Path, opened: dict[str, list[Judged]]) -> None:
    cfg = open_run(run)
    assert family_of(cfg) == run.name
    found = opened[run.name]
    assert found
    for one in found:
        assert one.methods[0].role == "model"
        for method in one.methods:
            c = method.comparison()
            assert c.draws is not None
            assert c.train is not None
            assert c.at_train is not None
            assert c.draws.shape[1:] == c.real.values.shape
            assert c.at_train.shape[1:] == c.train.values.shape
            assert c.train.signals == c.real.signals
            assert len(c.real) <= SETTINGS.rows
            assert np.isfinite(c.draws).all(), method.name
            assert c.told
            # a generator is somewhere near: a wrong unit or a forgotten scale would not be
            known = np.isfinite(c.real.values)
            error = np.abs(c.draws.mean(0) - c.real.values)[known].mean()
            assert error < np.abs(c.real.values[known]).mean(), method.name


def test_no_held_out_cell_is_among_those_it_learnt_from(run: Path, opened: dict[str, list[Judged]]) -> None:
    for one in opened[run.name]:
        c = one.methods[0].comparison()
        assert c.train is not None
        assert not set(c.real.cells) & set(c.train.cells)
        assert c.neighbour is not None
        assert not set(c.neighbour.cells) & set(c.real.cells)


def test_curves_are_those_of_the_split_the_run_saved(runs: dict[str, Path], opened: dict[str, list[Judged]]) -> None:
    saved = json.loads((runs["curves"] / "honest-seed0" / "splits.json").read_text())["parts"]
    c = opened["curves"][0].methods[0].comparison()
    assert set(c.real.cells) <= set(saved["test"])
    assert c.train is not None
    assert set(c.train.cells) <= {*saved["train"], *saved["val"]}


def test_the_same_seed_draws_the_same(run: Path, opened: dict[str, list[Judged]]) -> None:
    first, again = (found[0].methods[0].comparison() for found in (opened[run.name], all_of(run)))
    assert first.draws is not None
    assert again.draws is not None
    np.testing.assert_array_equal(first.real.values, again.real.values)
    np.testing.assert_array_equal(first.draws, again.draws)


def test_another_seed_draws_others(runs: dict[str, Path], opened: dict[str, list[Judged]]) -> None:
    first = opened["curves"][0].methods[0].comparison()
    other = all_of(runs["curves"], EvaluateSettings(rows=40, draws=3, seed=7))[0].methods[0].comparison()
    assert first.draws is not None
    assert other.draws is not None
    assert not np.array_equal(first.draws, other.draws)


def test_sweeps_move_one_condition_over_the_training_range(opened: dict[str, list[Judged]]) -> None:
    for family in ("curves", "profiles", "pulses"):
        one = opened[family][0]
        c = one.methods[0].comparison()
        found = one.sweeps()
        assert found
        for name, sweep in found.items():
            assert name not in sweep.fixed
            assert sweep.draws.shape[1:] == (len(sweep.values), *c.real.values.shape[1:])
            assert sweep.low < sweep.high
            assert (np.diff(sweep.values) > 0).all()


def test_folds_of_a_run_are_told_apart(opened: dict[str, list[Judged]]) -> None:
    assert len({one.fold for one in opened["pulses"]}) == 3
    assert len({one.fold for one in opened["profiles"]}) == 2


def test_what_is_no_finished_run_is_said_plainly(tmp_path: Path, runs: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.yaml"):
        open_run(tmp_path)
    (tmp_path / "config.yaml").write_text((runs["curves"] / "config.yaml").read_text())
    with pytest.raises(CheckpointError, match="resume=true"):
        open_run(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("rows", 3), ("draws", 1), ("seed", -1)])
def test_settings_that_make_no_sense_are_refused(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=key):
        EvaluateSettings(**{key: value})  # type: ignore[arg-type]
