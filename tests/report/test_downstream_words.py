"""What downstream.md says of rows made up: gains, losses, a control that gains as much, and shares that show nothing."""

from typing import Any

import pytest

from batgen.report.downstream_words import to_markdown, verdict
from batgen.report.figures.downstream import draw_downstream


def made_rows(gain: float, copied: float = 0.0, constant: float = 0.5) -> list[dict[str, Any]]:
    """Gains over measured curves of synthetic ones and of jittered copies, at two shares, three repeats."""
    noise = (0.0, 0.01, -0.01)
    gains = {"real+synthetic": gain, "real+jittered": copied}
    return [
        {
            "data": "d", "model": "m", "protocol": "honest", "target": "soh", "share": share, "cells": 3, "repeat": k,
            "source": source, "regressor": "none" if source == "constant" else "chosen", "unit": "1", "n": 9,
            "test_cells": 3, "note": "",
            "value": constant if source == "constant"
            else 0.1 * (k + 1) - (gains[source] + (k - 1) * noise[k] if source in gains else 0.0),
        }
        for share in (0.05, 0.2) for k in range(3)
        for source in ("real", "real+jittered", "real+synthetic", "synthetic", "constant")
    ]  # fmt: skip


BESIDE = "beside jittered copies of the measured curves they are"


@pytest.mark.parametrize(
    ("gain", "copied", "words"),
    [
        (0.1, 0.0, f"help with 5 %, 20 % of the training cells; {BESIDE} better with 5 %, 20 %"),
        (0.1, 0.1, f"help with 5 %, 20 % of the training cells; {BESIDE} not to be told apart with 5 %, 20 %"),
        (-0.1, 0.0, f"do not help at any share; they make it worse with 5 %, 20 %; {BESIDE} worse with 5 %, 20 %"),
        (0.0, 0.0, "do not help at any share; with 5 %, 20 % the interval of the gain holds 0"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_the_rows_say(gain: float, copied: float, words: str) -> None:
    rows = made_rows(gain, copied)
    assert words in verdict(rows)
    assert words in to_markdown(rows, ["a note"])
    assert "4 intervals were looked at, none corrected for their number." in verdict(rows)
    assert verdict(rows).endswith("on cells that the generator knew, which is optimistic for synthetic curves.")
    assert "no better" not in verdict(rows)
    assert "†" not in to_markdown(rows, [])
    assert "One repeat says nothing" in verdict([r for r in rows if r["repeat"] == 0])
    assert len(draw_downstream(rows).axes) == 1


@pytest.mark.parametrize("gain", [0.1, -0.1])
def test_nothing_is_shown_where_measured_curves_are_no_better_than_a_constant(gain: float) -> None:
    """Planted: a gain, or loss, over a regression that knows nothing. It counts on neither side, and the table marks it."""
    rows = made_rows(gain, constant=0.15)
    said = verdict(rows)
    assert said.startswith(
        "With 5 %, 20 % a regression on measured curves is no better than a constant, so nothing can be"
    )
    assert "help" not in said
    assert "worse" not in said
    mixed = [r for r in rows if r["share"] == 0.05] + [r for r in made_rows(gain) if r["share"] == 0.2]
    assert ("help with 20 % of" if gain > 0 else "do not help at any share that could show it") in verdict(mixed)
    assert "with 5 % a regression on measured curves is no better" in verdict(mixed)
    text = to_markdown(mixed, [])
    assert "| 5 % † |" in text
    assert "| 20 % |" in text
    assert "† real is no better than constant: nothing can be shown at this share." in text


def test_what_is_missing_is_said() -> None:
    rows = made_rows(0.1)
    assert "there is no jittered control" in verdict([r for r in rows if r["source"] != "real+jittered"])
    alone = [{**r, "note": "cannot choose, ridge"} if r["share"] == 0.05 else r for r in rows]
    assert verdict(alone).endswith("With 5 % there are repeats of one kept cell: cannot choose, ridge.")
