"""From `python train.py` to the first training step on data=sim: the whole command, and its phases one by one."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHASES = ("interpreter, Hydra", "compose, check", "import torch, Lightning", "data to tensors", "build, fit to data")


def _phases() -> None:
    """Runs in a process of its own; prints seconds per phase as JSON. The clock starts before the interpreter did."""
    marks = [float(os.environ["BENCHMARK_STARTED"])]
    from batgen import cli, config, overrides

    marks.append(time.time())
    words = ["data=sim", "cycles=100"]
    overrides.check(words, cli.CONF)
    cfg = overrides.compose(words, cli.CONF)
    config.validate(cfg)
    marks.append(time.time())
    import batgen.run
    import batgen.training.fit  # noqa: F401
    from batgen.curve_part import new_model, prepare

    marks.append(time.time())
    conf = config.resolved(cfg, "honest", 0)
    data = prepare(conf)
    marks.append(time.time())
    new_model(conf["model"], data.shape, 0)(data.rows["train"])
    marks.append(time.time())
    print(json.dumps([b - a for a, b in itertools.pairwise(marks)]))


class FirstStep:
    """A Lightning callback that ends the process at the first training step, without importing Lightning here."""

    def __new__(cls) -> object:
        from pytorch_lightning.callbacks import Callback

        class Stop(Callback):
            def on_train_batch_start(self, *args: object) -> None:
                os._exit(0)

        return Stop()


def run() -> list[tuple[str, float]]:
    """(phase, seconds), with the store built before, and the whole command with and without a store."""
    found = []
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "BATGEN_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            "data=sim",
            "+callbacks.stop._target_=benchmarks.startup.FirstStep",
        ]
        for title in ("whole command, first time (store is built)", "whole command, store exists"):
            started = time.time()
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(
                    [*command, f"run_dir={folder}/run"], env=env, check=True, stdout=subprocess.DEVNULL, cwd=ROOT
                )
            found.append((title, time.time() - started))
        env["BENCHMARK_STARTED"] = str(time.time())
        code = "from benchmarks.startup import _phases; _phases()"
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True, cwd=ROOT
        )
    seconds = json.loads(done.stdout.splitlines()[-1])
    return found + [(f"  {name}", s) for name, s in zip(PHASES, seconds, strict=True)]


if __name__ == "__main__":
    for row in run():
        print(*row)
