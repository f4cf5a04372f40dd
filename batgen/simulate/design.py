"""Which cells are cycled and how they age. Everything here is invented; nothing identifies a measured cell.

*Life law.* A plating-like stress: the C-rate above a limit that falls with state of charge, averaged over the fast part
of the charge,

    stress = mean over q in (0, 0.8) of max(C(q) - (5 - 2.5 q), 0)
    log life = log 2250 - 1.4 stress - 0.22 [40 degC] + scatter,  scatter ~ N(0, 0.11) cut at 1.6 sigma

The form is a guess; its numbers were chosen so that lives span about 150 to 2300 cycles and are of the order of those
of the measured cells of Severson et al. (Nature Energy 4, 383, 2019); 0.11 is about the scatter between their cells of one
policy.

*Ageing state.* Imposed, not simulated, as a function of z = cycle / life:

    s(z) = mix z + (1 - mix) z^knee
    lithium lost 17 % s, graphite lost loss_n s, LFP lost 4 % s, resistance x (1 + growth s),
    exchange current x (1 - 0.25 s), diffusion x (1 - 0.2 s),
    and for the first rise of capacity a wetting term: diffusion x (1 - wetting exp(-cycle / 40))

z is stretched, cell by cell, until the simulated discharge capacity crosses 0.88 Ah at the life of the law. Mean and
spread of mix and knee were set by eye so that the course of capacity over z lies among those measured cells. Because
life and fade are imposed, no relation between early cycles and life in this data is evidence for anything.

*Cells differ* (normal; standard deviation in brackets) in lithium content (0.5 %), resistance (4 %), cooling (6 %),
place in the chamber (0.4 degC, and a slow drift of 0.2 degC), knee (0.9), mix (0.06), graphite loss (0.015), resistance
growth (0.04) and wetting (0.03).
"""

from dataclasses import dataclass

import numpy as np

EOL_CAPACITY_AH = 0.88
END_CAPACITY_AH = 0.862
EARLY_CYCLES = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 28, 32, 36, 40, 45, 50),
    *(55, 60, 65, 70, 75, 80, 85, 90, 95, 100),
)
LATE_COUNT = 26
CELLS_PER_GROUP = 3
HOT_DEGC, WARM_DEGC = 40.0, 30.0


@dataclass(frozen=True)
class Policy:
    """C1 up to the fraction q1 of nominal capacity, C2 up to 80 %, 1C CC-CV after; the discharge rate is part of it."""

    c1: float
    q1: float
    c2: float
    discharge_c_rate: float = 4.0
    also_hot: bool = False

    @property
    def text(self) -> str:
        return f"{self.c1:g}C({100 * self.q1:g}%)-{self.c2:g}C"


POLICIES = (
    Policy(3.6, 0.80, 3.6),
    Policy(4.0, 0.80, 4.0, also_hot=True),
    Policy(4.4, 0.80, 4.4),
    Policy(4.8, 0.80, 4.8, also_hot=True),
    Policy(5.4, 0.60, 3.0),
    Policy(5.4, 0.40, 3.6, also_hot=True),
    Policy(6.0, 0.40, 3.0, also_hot=True),
    Policy(6.0, 0.30, 3.6),
    Policy(7.0, 0.40, 3.6),
    Policy(3.7, 0.31, 5.9, also_hot=True),
    Policy(2.0, 0.10, 6.0),
    Policy(5.6, 0.36, 4.3, also_hot=True),
    Policy(4.4, 0.47, 5.5, discharge_c_rate=2.0),
    Policy(3.6, 0.60, 3.0, discharge_c_rate=2.0, also_hot=True),
    Policy(5.0, 0.67, 4.0, discharge_c_rate=2.0, also_hot=True),
    Policy(8.0, 0.25, 3.6, discharge_c_rate=2.0),
)


@dataclass(frozen=True)
class CellDesign:
    """One virtual cell: its test, its planned life and what sets it apart from its neighbours."""

    cell_id: str
    policy: Policy
    ambient_degC: float
    life: int
    lithium: float
    resistance: float
    cooling: float
    offset_K: float
    drift_K: float
    drift_phase: float
    drift_cycles: float
    knee: float
    mix: float
    loss_n: float
    growth: float
    wetting: float


def stress(policy: Policy) -> float:
    """Mean C-rate above the invented plating limit over the fast part of the charge."""
    q = (np.arange(320) + 0.5) / 400
    rate = np.where(q < policy.q1, policy.c1, policy.c2)
    return float(np.maximum(rate - (5.0 - 2.5 * q), 0).mean())


def draw_cells(seed: int) -> list[CellDesign]:
    """All cells: three of each policy at 30 degC, and three more at 40 degC for half of the policies."""
    rng = np.random.default_rng(seed)
    cells = []
    for p, policy in enumerate(POLICIES, 1):
        ambients = [WARM_DEGC] * CELLS_PER_GROUP + [HOT_DEGC] * (CELLS_PER_GROUP * policy.also_hot)
        for c, ambient in enumerate(ambients, 1):
            scatter = 0.11 * float(np.clip(rng.standard_normal(), -1.6, 1.6))
            log_life = np.log(2250.0) - 1.4 * stress(policy) - 0.22 * (ambient == HOT_DEGC) + scatter
            cells.append(
                CellDesign(
                    cell_id=f"sim_p{p:02d}_c{c}",
                    policy=policy,
                    ambient_degC=ambient,
                    life=int(np.clip(np.exp(log_life), 150, 2300).round()),
                    lithium=1 + 0.005 * rng.standard_normal(),
                    resistance=1 + 0.04 * rng.standard_normal(),
                    cooling=1 + 0.06 * rng.standard_normal(),
                    offset_K=0.4 * rng.standard_normal(),
                    drift_K=0.2 * rng.standard_normal(),
                    drift_phase=rng.uniform(0, 2 * np.pi),
                    drift_cycles=rng.uniform(500, 1500),
                    knee=6.5 + 0.9 * rng.standard_normal(),
                    mix=float(np.clip(0.22 + 0.06 * rng.standard_normal(), 0.08, 0.4)),
                    loss_n=0.06 + 0.015 * rng.standard_normal(),
                    growth=0.25 + 0.04 * rng.standard_normal(),
                    wetting=0.15 + 0.03 * rng.standard_normal(),
                )
            )
    return cells


def shape(z: np.ndarray, cell: CellDesign) -> np.ndarray:
    """Degree of ageing s(z) (n,), 1 at z = 1."""
    return cell.mix * z + (1 - cell.mix) * z**cell.knee


def slope(z: np.ndarray, cell: CellDesign) -> np.ndarray:
    """ds/dz (n,)."""
    return cell.mix + (1 - cell.mix) * cell.knee * z ** (cell.knee - 1)


def sampled_cycles(cell: CellDesign, stretch: float, z_end: float) -> np.ndarray:
    """The cycles to solve, increasing: `EARLY_CYCLES`, then `LATE_COUNT` more up to z_end, denser where fade is fast.

    Half of the late spacing is even in cycles and half even in fade; the planned end of life is one of them.
    """
    last = max(int(np.ceil(z_end / stretch * cell.life)), cell.life + 3)
    late = np.arange(EARLY_CYCLES[-1] + 1, last + 1)
    fade = shape(late / cell.life * stretch, cell)
    measure = (late - late[0]) / (late[-1] - late[0]) + (fade - fade[0]) / (fade[-1] - fade[0])
    wanted = np.interp(np.linspace(0, 2, LATE_COUNT), measure, late).round().astype(int)
    wanted[0] = late[min(3, len(late) - 1)]
    chosen = set(wanted.tolist()) | {cell.life}
    while len(chosen) < LATE_COUNT:  # short lives: rounding merged some; fill the widest gaps
        have = np.array(sorted({EARLY_CYCLES[-1], *chosen}))
        gap = int(np.argmax(np.diff(have)))
        chosen.add(int(have[gap] + have[gap + 1]) // 2)
    return np.array([*EARLY_CYCLES, *sorted(chosen)])
