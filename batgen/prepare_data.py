"""Build the store of a dataset without training anything, and say what is in it."""

import os
import time

from omegaconf import DictConfig, OmegaConf

from batgen import config
from batgen.build import build
from batgen.console import console


def prepare_data(cfg: DictConfig) -> None:
    """Build the store of `cfg.data` and print what is in it, what units were found and what was rejected."""
    from batgen.data.describe import report
    from batgen.data.store import open_store

    node = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(node, dict)
    source = build(config.without({str(k): v for k, v in node.items()}, *config.BESIDE["data"]))
    out, started = console(), time.time()
    store = open_store(source, cycles=cfg.cycles)
    out.print(report(store))
    if store.source.name == "mit" and os.environ.get("BATGEN_DATA_DIR"):
        from batgen.data.mit_check import cross_check
        from batgen.data.paths import data_dir

        compared, disagreements = cross_check(store, data_dir())
        out.print(f"checked against the published tables beside it: {compared} cells, {len(disagreements)} disagree")
        for line in disagreements:
            out.print(f"  {line}", style="yellow")
    out.print(f"store: {store.path}  ({store.path.stat().st_size / 1e6:.1f} MB, {time.time() - started:.1f} s)")
