"""Where words go: the terminal's width where there is a terminal, else wide enough for the tables."""

import sys

from rich.console import Console

from batgen.processes import main_process


def console() -> Console:
    """A console that is silent in all but the first process of a run."""
    width = None if sys.stdout.isatty() else 110
    return Console(quiet=not main_process(), highlight=False, width=width, soft_wrap=True)
