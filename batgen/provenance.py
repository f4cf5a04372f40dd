"""Where a result came from: code, versions, machine, time. Enough to run it again and to doubt it well."""

import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import batgen

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "omegaconf", "numpy", "pandas", "h5py", "scikit-learn", "scipy")


def git_commit() -> str:
    """Commit of the checkout this code runs from, with "+dirty" where files differ; "unknown" for an installed wheel."""
    here = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != here:
            return "unknown"
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def provenance(started: float) -> dict[str, Any]:
    """Facts for run.json; `started` is time.time() at the start. Peak memory in MiB, wall time in seconds."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "batgen": batgen.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": found,
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "wall_s": round(time.time() - started, 1),
        "peak_memory_MiB": round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1),
    }
