"""The mean of a protocol: which cells and records it takes, in closed form, and on the cells of NASA."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from batgen.data.sources.nasa import Nasa
from batgen.data.store import open_store
from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.pca_gaussian import PcaGaussian
from batgen.models.protocol_mean import ProtocolMean
from tests.models.planted import drawn, fitted, planted

NAMES = ("ecl", "ambient_degC", "c_rate", "c_rate_rms")
SHAPE = DataShape((2, 4), ("temperature_degC", "log_duration"), NAMES)
COOL, WARM = (24.0, 1.0, 1.0), (43.0, 2.0, 2.0)


def records(*cells: tuple[int, tuple[float, float, float], list[float], list[float]]) -> tuple[Tensor, Tensor, Tensor]:
    """x, cond, cell of cells given as (number, how it was run, cycles, values): every profile is flat at its value."""
    rows = [
        (n, how, cycle, value) for n, how, cycles, values in cells for cycle, value in zip(cycles, values, strict=True)
    ]
    x = torch.tensor([value for *_, value in rows])[:, None, None].expand(-1, *SHAPE.x_shape)
    return x, torch.tensor([[cycle, *how] for _, how, cycle, _ in rows]), torch.tensor([n for n, *_ in rows])


def answers(model: nn.Module, *asked: tuple[float, ...]) -> list[float]:
    sample = drawn(model, torch.tensor(asked), 3)
    assert sample.shape == (3, len(asked), *SHAPE.x_shape)
    assert (sample == sample[:1, :, :1, :1]).all()
    return sample[0, :, 0, 0].tolist()


def model_of(*cells, **options) -> ProtocolMean:
    model = ProtocolMean(SHAPE, **options)
    model.fit(*records(*cells))
    return model


def test_mean_over_cells_of_the_protocol_of_their_nearest_records():
    first = (0, COOL, [1.0, 2.0, 3.0, 50.0], [1.0, 2.0, 3.0, 90.0])
    second = (1, COOL, [10.0, 11.0, 60.0], [10.0, 20.0, 60.0])
    other = (2, WARM, [1.0, 2.0], [-1000.0, -1000.0])
    model = model_of(first, second, other, neighbours=2)
    # at cycle 2.1 the first cell gives cycles 2 and 3, the second 10 and 11: (2.5 + 15) / 2
    assert answers(model, (2.1, *COOL), (55.0, *COOL)) == pytest.approx([8.75, (46.5 + 40) / 2])
    assert answers(model, (2.1, *WARM)) == [-1000.0]


def test_without_cycles_every_cell_counts_once_however_many_records_it_has():
    model = model_of((0, COOL, [1.0, 2.0, 3.0], [3.0] * 3), (1, COOL, [1.0], [9.0]), by_cycle=False)
    assert answers(model, (1.0, *COOL), (500.0, *COOL)) == [6.0, 6.0]


def test_a_protocol_never_trained_takes_the_nearest_one():
    model = model_of((0, COOL, [1.0, 2.0], [1.0, 1.0]), (1, WARM, [1.0, 2.0], [2.0, 2.0]))
    assert answers(model, (1.0, 30.0, 1.2, 1.2), (1.0, 40.0, 1.9, 1.9)) == [1.0, 2.0]


def test_pulses_are_another_protocol_by_their_rms_current():
    pulsed = (24.0, 1.0, 1.42)
    model = model_of((0, COOL, [1.0], [1.0]), (1, pulsed, [1.0], [5.0]), (2, (25.5, 1.06, 1.06), [1.0], [2.0]))
    assert answers(model, (1.0, *pulsed), (1.0, *COOL)) == [5.0, 1.5]


def test_a_cell_that_was_run_in_two_ways_counts_in_each():
    model = model_of((0, COOL, [1.0, 2.0], [1.0, 1.0]), (0, WARM, [30.0, 31.0], [2.0, 2.0]), (1, WARM, [1.0], [4.0]))
    assert answers(model, (30.0, *COOL), (1.0, *WARM)) == [1.0, 3.0]


def test_an_unknown_ambient_tells_no_protocols_apart():
    nan = float("nan")
    model = model_of((0, (nan, 1.0, 1.0), [1.0], [1.0]), (1, (nan, 2.0, 2.0), [1.0], [5.0]))
    assert answers(model, (1.0, nan, 2.0, 2.0), (1.0, 24.0, 1.0, 1.0)) == [5.0, 1.0]


def test_without_these_conditions_there_is_one_protocol():
    shape = DataShape((2, 4), SHAPE.slices, ("ecl", "soh"))
    x, cond, cell = records((0, COOL, [1.0], [1.0]), (1, WARM, [1.0], [5.0]))
    model = ProtocolMean(shape)
    model.fit(x, cond[:, :2], cell)
    assert drawn(model, cond[:1, :2], 1)[0, 0, 0, 0] == 3.0


def test_options_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"model\.by_cycle=true .* add ecl"):
        ProtocolMean(DataShape((2, 4), SHAPE.slices, ("soh",)))
    with pytest.raises(ConfigError, match=r"model\.neighbours=0"):
        ProtocolMean(SHAPE, neighbours=0)
    ProtocolMean(DataShape((2, 4), SHAPE.slices, ("soh",)), by_cycle=False)


def test_pca_ridge_is_the_mean_of_pca_gaussian():
    data = planted()
    line = drawn(fitted(lambda shape: PcaGaussian(shape, components=4, noise=False), data), data.cond[:5], 3)
    cloud = drawn(fitted(lambda shape: PcaGaussian(shape, components=4), data), data.cond[:5], 20_000)
    assert (line == line[:1]).all()
    error = cloud.std(0) / 20_000**0.5
    assert ((cloud.mean(0) - line[0]).abs() < 5 * error + 1e-5).all()


@pytest.mark.parametrize(
    ("relative", "by_cycle", "expected"), [(True, True, 1.05), (False, True, 1.17), (True, False, 1.21)]
)
def test_peak_temperature_of_nasa_discharges(discharges, relative, by_cycle, expected):
    """One cell held out at a time, without B0038: the same-protocol mean of the rise by cycle errs by 1.05 degC."""
    curves, cond, cell = discharges
    base = curves[:, :1] if relative else torch.zeros(len(curves), 1)
    x = (curves - base)[:, None].repeat(1, 2, 1)
    shape = DataShape(tuple(x.shape[1:]), SHAPE.slices, NAMES)
    errors = []
    for held in cell.unique():
        test = cell == held
        model = ProtocolMean(shape, by_cycle=by_cycle)
        model.fit(x[~test], cond[~test], cell[~test])
        made = drawn(model, cond[test], 1)[0, :, 0] + base[test]
        errors.append((made.amax(1) - curves[test].amax(1)).abs().mean().item())
    assert np.mean(errors) == pytest.approx(expected, abs=0.01)


@pytest.fixture
def discharges(data_dir) -> tuple[Tensor, Tensor, Tensor]:
    """Temperature (N, 256) in degC over each record's duration, conditions, and numbers of the cells."""
    store = open_store(Nasa())
    curves, cond, cell = [], [], []
    for number, info in enumerate(store.infos):
        if info.cell_id == "B0038":
            continue
        measured = store.curves(info.cell_id, part="discharge")
        ambient = store.summary(info.cell_id).set_index("cycle")["ambient_degC"]
        for i, cycle in enumerate(measured.cycle):
            one = {
                name: v[measured.offsets[i] : measured.offsets[i + 1]].astype(float)
                for name, v in measured.columns.items()
            }
            time_s, current_C = one["time_s"] - one["time_s"][0], np.abs(one["current_A"]) / 2.0
            mean, square = (np.trapezoid(v, time_s) / time_s[-1] for v in (current_C, current_C**2))
            curves.append(np.interp(np.linspace(0, time_s[-1], 256), time_s, one["temperature_degC"]))
            cond.append([cycle, ambient.loc[cycle], mean, np.sqrt(square)])
            cell.append(number)
    return torch.tensor(np.array(curves)).float(), torch.tensor(np.array(cond, dtype=float)).float(), torch.tensor(cell)
