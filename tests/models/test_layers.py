import pytest
import torch

from batgen.errors import ConfigError
from batgen.models.layers.conditions import Features, Standardise, quadratic
from batgen.models.layers.mlp import ACTIVATIONS, mlp
from batgen.models.layers.nearest import nearest_label, nearest_rows
from batgen.models.layers.pca import principal_components
from batgen.models.layers.ridge import cell_folds, predict, ridge


def test_nearest_label_is_equation_14():
    table = torch.tensor([[500.0, 10.0], [500.0, 90.0], [900.0, 10.0]])
    query = torch.tensor([[500.0, 90.0], [705.0, 10.0], [695.0, 10.0], [600.0, 55.0]])
    assert nearest_label(query, table, 0.5).tolist() == [1, 2, 0, 1]
    assert nearest_label(torch.tensor([[890.0, 90.0]]), table, 0.5).tolist() == [2]
    assert nearest_label(torch.tensor([[890.0, 90.0]]), table, 0.1).tolist() == [1]


def test_equally_near_labels_give_the_first():
    table = torch.tensor([[700.0, 10.0], [500.0, 10.0], [500.0, 10.0], [700.0, 10.0]])
    assert nearest_label(torch.tensor([[600.0, 10.0], [500.0, 10.0]]), table, 0.5).tolist() == [0, 1]


def test_blocks_do_not_change_the_answer():
    g = torch.Generator().manual_seed(0)
    table = torch.randint(1, 2000, (300, 2), generator=g).float()
    query = torch.randint(1, 2000, (50, 2), generator=g).float()
    brute = (query[:, None] - table).abs().mul(torch.tensor([0.3, 0.7])).sum(2)
    assert torch.equal(nearest_label(query, table, 0.3, block=7), brute.argmin(1))
    assert torch.equal(nearest_rows(query, table, 5, block=7), nearest_rows(query, table, 5))
    assert nearest_rows(query[:0], table, 5).shape == (0, 5)


def test_standardise_ignores_constants_and_gaps():
    cond = torch.tensor([[1.0, 7.3, float("nan"), 1.0], [3.0, 7.3, float("nan"), float("nan")], [5.0, 7.3, 0.0, 3.0]])
    cond[:, 2] = float("nan")
    layer = Standardise(["a", "b", "c", "d"])
    layer.fit(cond)
    z = layer(cond)
    torch.testing.assert_close(z[:, 0], torch.tensor([-1.0, 0.0, 1.0]) * 1.5**0.5)
    assert torch.equal(z[:, 1:3], torch.zeros(3, 2))
    torch.testing.assert_close(z[:, 3], torch.tensor([-1.0, 0.0, 1.0]))


def test_standardise_takes_logarithms():
    layer = Standardise(["eol", "ecl"], log=["eol"])
    layer.fit(torch.tensor([[10.0, 10.0], [1000.0, 1000.0]]))
    torch.testing.assert_close(layer(torch.tensor([[100.0, 505.0]])), torch.zeros(1, 2), atol=1e-5, rtol=0)


def test_features_know_age_and_the_duration_of_the_fast_charge():
    cond = torch.tensor([[500.0, 50.0, 4.0, 0.4, 2.0], [1000.0, 50.0, 8.0, 0.4, 2.0]])
    features = Features(("eol", "ecl", "c1", "q1", "c2"))
    torch.testing.assert_close(features._augment(cond)[:, 5:], torch.tensor([[0.1, 0.3], [0.05, 0.25]]))
    assert features.size == 7
    assert Features(("soh", "ecl")).size == 2


def test_quadratic_has_all_products_once():
    assert quadratic(torch.tensor([[2.0, 3.0]])).tolist() == [[2.0, 3.0, 4.0, 6.0, 9.0]]


def test_folds_keep_cells_whole():
    cell = torch.tensor([7, 7, 2, 9, 2, 9, 9, 4])
    fold = cell_folds(cell, 3)
    assert all(len(fold[cell == c].unique()) == 1 for c in cell.unique())


def test_ridge_is_the_closed_form_and_leaves_the_intercept_free():
    g = torch.Generator().manual_seed(0)
    features, cell = torch.randn(60, 3, generator=g), torch.arange(60) // 6
    target = 100 + features @ torch.tensor([[1.0], [2.0], [3.0]])
    exact, alpha = ridge(features, target, cell, [1e-9, 1.0])
    assert alpha == 1e-9
    torch.testing.assert_close(exact[:, 0], torch.tensor([100.0, 1.0, 2.0, 3.0]), atol=1e-3, rtol=0)
    shrunk, _ = ridge(features, target, cell, [1e6])
    torch.testing.assert_close(predict(features, shrunk), target.mean(0).expand(60, 1), atol=1e-3, rtol=0)


def test_ridge_shrinks_noise_that_only_repeats_within_cells():
    """Six repeats of ten cells: sample-wise the noise looks learnable, cell-wise it is not."""
    g = torch.Generator().manual_seed(1)
    features = torch.randn(10, 6, generator=g).repeat_interleave(6, 0)
    target = torch.randn(10, 4, generator=g).repeat_interleave(6, 0)
    assert ridge(features, target, torch.arange(10).repeat_interleave(6), [1e-3, 1e1])[1] == 1e1
    assert ridge(features, target, torch.arange(60) % 6, [1e-3, 1e1], folds=6)[1] == 1e-3


def test_principal_components_span_the_plane():
    g = torch.Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(9, 2, generator=g)).Q.T
    for n in (6, 40):
        mean, basis = principal_components(torch.randn(n, 2, generator=g) @ plane + 3, 5)
        assert basis.shape == (2, 9)
        torch.testing.assert_close(basis @ basis.T, torch.eye(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(basis.T @ basis, plane.T @ plane, atol=1e-4, rtol=0)
        assert mean.shape == (9,)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_keeps_a_deep_signal_alive(activation):
    torch.manual_seed(0)
    out = mlp([32] * 9, activation)(torch.randn(64, 32))
    assert 0.02 < out.std() < 20


def test_an_unknown_activation_is_refused():
    with pytest.raises(ConfigError, match=r"model\.activation='rleu'.*relu"):
        mlp([2, 2, 2], "rleu")
