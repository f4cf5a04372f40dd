"""Which process this is, when a trainer runs several, and how many cores it may use. No torch here."""

import os


def main_process() -> bool:
    """False in the processes that a multi-device trainer starts beside the first: they train, and write nothing."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
