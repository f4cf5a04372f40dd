"""What is seen before the cut is as large, to the model, as what comes after it."""

import numpy as np
import pytest

from batgen.preprocessing.sequence_scales import past_gain


def test_gain_is_the_ratio_of_the_spreads_within_bounds() -> None:
    values = np.array([[[0.98], [0.99], [1.0]], [[1.02], [1.0], [99.0]]])  # the last one is padding
    got = {"values": values, "last": np.array([[1.0], [1.0]]), "length": np.array([3, 2])}
    seen = np.sqrt(np.mean([0.02**2, 0.01**2, 0, 0.02**2, 0]))
    assert past_gain(got, np.array([10 * seen])) == pytest.approx([10.0])
    assert past_gain(got, np.array([0.1 * seen])) == [1.0], "never made smaller"
    assert past_gain(got, np.array([1e4 * seen])) == [50.0], "nor noise made large"
