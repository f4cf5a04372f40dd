"""What U1..U41 of a pulse test are: which pulse, which rest, its begin or its end.

PulseBat's order (Tao et al., Nature Communications 15, 10154, 2024, and the set's own README): after 10 min of rest
(U1), pulses at 0.5C, 1C, 1.5C, 2C and 2.5C, each first as a charge (+), then as a discharge (-), each followed by a rest
15 times as long as the pulse. A pulse and its rest give four voltages: begin and end of the one, begin and end of the
other. The published 21 end after the rest of +1.5C; 41 are all five rates.
"""

from dataclasses import dataclass

import numpy as np

from batgen.errors import ConfigError

C_RATES = (0.5, 1.0, 1.5, 2.0, 2.5)
#: A rest lasts this many pulse widths.
REST_WIDTHS = 15
#: Steps known: one, and 4 for each rate and sign.
MOST = 1 + 8 * len(C_RATES)
#: Columns of `descriptors`.
DESCRIPTORS = ("c_rate", "pulse_c_rate", "is_pulse", "is_end", "position", "is_ocv")


@dataclass(frozen=True)
class PulseStep:
    """When one voltage is read.

    name: U1, U2, ... c_rate: of the pulse it belongs to, + is charge, 0 for the OCV; in a rest it is that of the pulse
    before. kind: "ocv", "pulse" or "rest". end: read at the end of pulse or rest, not at its begin. time_s: since the
    first pulse began, for pulses of 5 s; the step from a pulse to its rest takes no time.
    """

    name: str
    kind: str
    c_rate: float
    end: bool
    time_s: float


def pulse_steps(count: int, pulse_width_s: float = 5.0) -> list[PulseStep]:
    """The first `count` steps of the published order. Raises ConfigError for fewer than 1 or more than 41."""
    if not 1 <= count <= MOST:
        raise ConfigError(
            f"preprocessing.voltages: {count} voltages, but the published pulse test describes U1..U{MOST} only. Keep at "
            f"most {MOST} with preprocessing.voltages={MOST}, or use a model that needs no tokens."
        )
    made = [("ocv", 0.0, True, 0.0)]
    start = 0.0
    for c_rate in (sign * rate for rate in C_RATES for sign in (1, -1)):
        over, rested = start + pulse_width_s, start + (1 + REST_WIDTHS) * pulse_width_s
        made += [
            ("pulse", c_rate, False, start),
            ("pulse", c_rate, True, over),
            ("rest", c_rate, False, over),
            ("rest", c_rate, True, rested),
        ]
        start = rested
    return [PulseStep(f"U{k}", *step) for k, step in enumerate(made[:count], start=1)]


def descriptors(count: int) -> np.ndarray:
    """float32 (count, len(DESCRIPTORS)): the steps as numbers, the same for a step whatever the count.

    c_rate: current of the step itself in C, 0 in rests; pulse_c_rate: that of the pulse it belongs to; is_pulse, is_end
    and is_ocv: 0 or 1; position: 0 for U1, 1 for U41. Raises ConfigError as `pulse_steps` does.
    """
    rows = [
        (
            step.c_rate if step.kind == "pulse" else 0.0,
            step.c_rate,
            step.kind == "pulse",
            step.end,
            number / (MOST - 1),
            step.kind == "ocv",
        )
        for number, step in enumerate(pulse_steps(count))
    ]
    return np.array(rows, dtype=np.float32)
