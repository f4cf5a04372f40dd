from collections.abc import Callable

import pytest
from torch import nn

from batgen.models.base import Batch, DataShape
from tests.models.planted import SMALL, planted


@pytest.fixture(params=SMALL)
def build(request: pytest.FixtureRequest) -> Callable[[DataShape], nn.Module]:
    """Every model in turn, at a size that a test can pay."""
    return SMALL[request.param]


@pytest.fixture
def data() -> Batch:
    return planted()
