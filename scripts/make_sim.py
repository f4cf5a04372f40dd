"""Make the embedded dataset (needs the extra `sim`): python scripts/make_sim.py [--out FILE] [--seed N]."""

import argparse
import os
import time
from pathlib import Path

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[1] / "batgen" / "data" / "files" / "sim.h5"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        from batgen.simulate.write import make
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed: pip install 'batgen[sim]'") from error
    start = time.perf_counter()
    for name, value in make(arguments.out, arguments.seed, arguments.processes).items():
        print(f"{name:50s} {value:.6g}")
    print(f"{arguments.out} written in {time.perf_counter() - start:.0f} s")
