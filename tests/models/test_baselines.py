import pytest
import torch

from batgen.errors import ConfigError
from batgen.models.base import DataShape
from batgen.models.knn import NearestNeighbours
from batgen.models.mean_curve import MeanCurve
from batgen.models.nearest_copy import NearestCopy
from batgen.models.pca_gaussian import PcaGaussian
from batgen.models.pointwise_ridge import PointwiseRidge
from tests.models.planted import COND, SHAPE, drawn, fitted, planted


def test_nearest_copy_returns_a_training_curve_for_its_own_conditions(data):
    model = fitted(NearestCopy, data)
    assert torch.equal(drawn(model, data.cond, 2)[1], data.x)


def test_nearest_copy_by_label_looks_at_eol_and_ecl_alone(data):
    model = fitted(lambda shape: NearestCopy(shape, metric="label", label_weight=0.25), data)
    asked = data.cond[:20] + torch.tensor([3.0, 0.0, 50.0, 50.0, 50.0])
    distance = 0.25 * (asked[:, None, 0] - data.cond[:, 0]).abs() + 0.75 * (asked[:, None, 1] - data.cond[:, 1]).abs()
    assert torch.equal(model.nearest(asked), distance.argmin(1))


def test_nearest_copy_by_label_is_refused_without_labels():
    with pytest.raises(ConfigError, match=r"model\.metric=label"):
        NearestCopy(DataShape((4,), ("voltage_V",), ("soh", "ecl")), metric="label")
    with pytest.raises(ConfigError, match=r"model\.metric"):
        NearestCopy(SHAPE, metric="cosine")


@pytest.mark.parametrize("per_cell", [0, 1])
def test_one_neighbour_is_the_nearest_copy(data, per_cell):
    asked = planted(seed=3).cond
    knn = fitted(lambda shape: NearestNeighbours(shape, neighbours=1, per_cell=per_cell), data)
    assert torch.equal(drawn(knn, asked, 2), drawn(fitted(NearestCopy, data), asked, 2))


def test_neighbours_come_from_different_cells(data):
    model = fitted(lambda shape: NearestNeighbours(shape, neighbours=4), data)
    cells = data.cell[model.nearest(planted(seed=3).cond)]
    assert all(len(set(row.tolist())) == 4 for row in cells)
    crowd = fitted(lambda shape: NearestNeighbours(shape, neighbours=4, per_cell=0), data)
    assert any(len(set(row.tolist())) < 4 for row in data.cell[crowd.nearest(data.cond)])


def test_more_neighbours_than_cells_is_all_of_them(data):
    model = fitted(lambda shape: NearestNeighbours(shape, neighbours=99), data)
    assert model.nearest(data.cond[:2]).shape == (2, 12)


def test_knn_refuses_no_neighbours():
    with pytest.raises(ConfigError, match=r"model\.neighbours"):
        NearestNeighbours(SHAPE, neighbours=0)
    with pytest.raises(ConfigError, match=r"model\.per_cell"):
        NearestNeighbours(SHAPE, per_cell=2)


def test_mean_curve_has_the_mean_and_the_spread_of_the_training_set(data):
    sample = drawn(fitted(MeanCurve, data), data.cond[:2], 20_000)
    error = data.x.std(0) / 20_000**0.5
    assert ((sample[:, 0] - data.x.mean(0)).mean(0).abs() < 5 * error).all()
    torch.testing.assert_close(sample[:, 1].std(0), data.x.std(0), rtol=0.05, atol=0)


def test_ridge_recovers_a_planted_quadratic():
    data = planted(cells=40)
    z = (data.cond - data.cond.mean(0)) / data.cond.std(0)
    grid = torch.linspace(0, 1, SHAPE.x_size)
    truth = 1 + z[:, :1] * grid - 2 * (z[:, 1:2] * z[:, 3:4]) * grid**2 + z[:, 4:5].square()
    model = PointwiseRidge(SHAPE)
    model.fit(truth.unflatten(1, SHAPE.x_shape), data.cond, data.cell)
    torch.testing.assert_close(model.mean(data.cond), truth, atol=2e-3, rtol=2e-3)
    assert model.residuals.abs().max() < 2e-3


def test_pca_gaussian_recovers_a_planted_covariance():
    g = torch.Generator().manual_seed(0)
    data = planted(cells=200, cycles=10)
    factor = torch.linalg.qr(torch.randn(SHAPE.x_size, 3, generator=g)).Q * torch.tensor([3.0, 2.0, 1.0])
    x = torch.randn(len(data.x), 3, generator=g) @ factor.T + 5
    model = PcaGaussian(SHAPE, components=3)
    model.fit(x.unflatten(1, SHAPE.x_shape), data.cond, data.cell)
    sample = drawn(model, data.cond[:1], 20_000)[:, 0].flatten(1)
    torch.testing.assert_close(sample.T.cov(), factor @ factor.T, atol=0.35, rtol=0)
    assert (sample.mean(0) - 5).abs().max() < 0.5


def test_baselines_do_without_labels():
    shape = DataShape((6,), ("voltage_V",), COND[2:])
    data = planted(shape=shape)
    for build in (NearestCopy, MeanCurve, NearestNeighbours, PointwiseRidge, PcaGaussian):
        assert drawn(fitted(build, data, shape), data.cond[:2], 2).shape == (2, 2, 6)
