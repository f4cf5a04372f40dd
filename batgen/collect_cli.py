"""The words of scripts/collect.py."""

from collections.abc import Sequence
from pathlib import Path

from batgen.errors import ConfigError
from batgen.words import key_values

USAGE = """python scripts/collect.py sweep=DIR [out=DIR]

Joins the metrics of all jobs of a multirun (a grid, an ablation, the last run of a search), finished or not:
out/table.parquet and table.csv, a row a job, protocol, seed, method, metric and signal, with a column for what was varied;
collected.md, what the jobs have to say in a table, and what is missing; figures. For ablation=rcvae_layers and
ablation=rcvae_cycles also the tables of the paper, row by row with the paper's value and the difference, and its heatmaps.
out is DIR/collected where it is not given.
Example: python scripts/collect.py sweep=outputs/ablation/rcvae_layers_mit"""


def main(argv: Sequence[str]) -> None:
    """Parse the words and collect. Raises ConfigError for a word that means nothing here."""
    if not argv or any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    given = key_values(argv, ("sweep", "out"), "sweep=outputs/ablation/rcvae_layers_mit")
    if not given.get("sweep"):
        raise ConfigError("sweep=DIR is missing: the folder of the multirun. See --help.")
    sweep = Path(given["sweep"]).expanduser().resolve()
    out = Path(given["out"]).expanduser().resolve() if given.get("out") else sweep / "collected"

    from batgen.collect import collect
    from batgen.console import console

    collect(sweep, out, console())
