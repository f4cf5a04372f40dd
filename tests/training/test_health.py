"""What validation says of a collapsed generator, of the truth, and of one that is far off."""

import pytest
import torch
from torch import Tensor

from batgen.models.base import ProfileBatch
from batgen.training.health import validation_health
from tests.models.planted_profiles import POINTS
from tests.training.adversarial_job import VAL


def test_health_of_a_collapsed_generator_and_of_the_truth() -> None:
    """Ten rows of one law in each of 30 cells; collapsed: one profile a condition; truth: the law itself; noise: far off."""
    g = torch.Generator().manual_seed(0)
    cells = torch.arange(30).repeat_interleave(10)
    level = torch.randn(30, generator=g)[cells]

    def law(count: int) -> Tensor:
        waves = torch.stack([torch.sin(k * torch.linspace(0, 3, POINTS)) for k in range(1, 6)])
        made = level[:, None] + 0.3 * torch.randn(count, len(cells), 5, generator=g) @ waves
        duration = 0.3 * torch.randn(count, len(cells), 1, generator=g) + level[:, None]
        return torch.stack([made, duration.expand_as(made)], 2)

    val = ProfileBatch(law(1)[0], torch.zeros(300, 1), cells, torch.zeros(300, 1, POINTS), torch.ones(300))
    truth = validation_health(val, law(10), 0)
    collapsed = validation_health(val, law(1).expand(10, -1, -1, -1), 0)
    blurred = validation_health(val, law(10) + 3.0, 0)
    assert truth["variance_ratio"] == pytest.approx(1.0, abs=0.1)
    assert truth["nearest_pair"] == pytest.approx(1.0, abs=0.1)
    assert collapsed["variance_ratio"] == pytest.approx(0.0, abs=1e-6)
    assert collapsed["nearest_pair"] == 0
    assert truth["energy_score"] < collapsed["energy_score"] < blurred["energy_score"]
    assert truth["energy_distance"] < 0.05 < blurred["energy_distance"]


def test_distances_of_health_are_means_over_points() -> None:
    """All draws 2 beside their row at each of the points, and 1.5 in the log-duration: sqrt(2^2 + 1.5^2) = 2.5."""
    shift = torch.cat([torch.full((1, POINTS), 2.0), torch.full((1, POINTS), 1.5)])
    health = validation_health(VAL, (VAL.x + shift).expand(4, -1, -1, -1), 0)
    assert health["energy_score"] == pytest.approx(2.5, rel=1e-5)
