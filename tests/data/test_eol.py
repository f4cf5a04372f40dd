import numpy as np
import pytest

from batgen.data.eol import eol_cycle, eol_fields


def fade(n: int = 100) -> np.ndarray:
    """1.10 Ah down by 0.005 a cycle: below 0.88 first at cycle 46 (0.875)."""
    return 1.1 - 0.005 * np.arange(n)


def test_plain_crossing_and_never():
    cycle = np.arange(1, 101)
    assert eol_cycle(cycle, fade(), 0.88) == 46
    assert np.isnan(eol_cycle(cycle, fade(), 0.5))
    assert np.isnan(eol_cycle([], [], 0.88))


def test_numbering_is_that_of_the_cycles_and_nan_is_skipped():
    capacity = fade()
    capacity[45] = np.nan
    assert eol_cycle(np.arange(2, 202, 2), capacity, 0.88) == 94


@pytest.mark.parametrize("bad", [[10], [10, 11], [10, 50]])
def test_bad_records_do_not_count(bad):
    capacity = fade()
    capacity[bad] = 0.1
    assert eol_cycle(np.arange(1, 101), capacity, 0.88) == 46


def test_three_in_a_row_are_sustained_and_regeneration_does_not_undo_it():
    capacity = np.full(40, 1.0)
    capacity[10:13] = 0.87
    assert eol_cycle(np.arange(1, 41), capacity, 0.88) == 11
    capacity[12] = 1.0
    assert np.isnan(eol_cycle(np.arange(1, 41), capacity, 0.88))


def test_record_that_ends_at_its_end_of_life():
    """Tests stop at the threshold: one last record that continues the fade counts, a last bad record does not."""
    assert eol_cycle(np.arange(1, 47), fade(46), 0.88) == 46
    bad = np.append(np.full(20, 1.0), 0.7)
    assert np.isnan(eol_cycle(np.arange(1, 22), bad, 0.88))


def test_low_from_the_start_is_another_load_not_an_end_of_life():
    capacity = np.concatenate([np.full(12, 0.8), np.full(20, 1.0)])
    assert np.isnan(eol_cycle(np.arange(1, 33), capacity, 0.88))
    blip = np.concatenate([np.full(6, 0.8), [1.0], np.full(20, 0.8)])
    assert np.isnan(eol_cycle(np.arange(1, 28), blip, 0.88))
    later = np.concatenate([capacity, np.full(5, 0.85)])
    assert eol_cycle(np.arange(1, 38), later, 0.88) == 33


def test_fields_say_where_the_number_came_from():
    reached = eol_fields(np.arange(1, 101), fade(), 0.88, 1.1)
    assert reached["eol_cycle"] == 46
    assert not reached["censored"]
    assert reached["last_cycle"] == 100
    assert "0.88 Ah (80% of nominal 1.1 Ah)" in reached["eol_definition"]
    censored = eol_fields(np.arange(1, 101), fade(), 0.2, 1.1)
    assert censored["censored"]
    assert "not reached" in censored["eol_definition"]


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="one length"):
        eol_cycle([1, 2], [1.0], 0.88)
    with pytest.raises(ValueError, match="sustain"):
        eol_cycle([1], [1.0], 0.88, sustain=0)
