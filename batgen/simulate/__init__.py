"""How the embedded dataset was made: a virtual 1.1 Ah LFP cell in PyBaMM, aged by an imposed state (extra `sim`).

Nothing else in batgen imports this package; `scripts/make_sim.py` does, and writes `batgen/data/files/sim.h5`.
`cell_model` holds the cell and its balance, `design` the cells, policies and the invented ageing, `cycles` the solving
of charge and discharge, `pulses` the pulse tests, `write` the file and its self-check.
"""

import os

# PyBaMM asks about telemetry on the terminal at its first import unless told not to; the modules here import it later.
os.environ.setdefault("PYBAMM_DISABLE_TELEMETRY", "true")
