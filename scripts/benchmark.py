"""python scripts/benchmark.py [steps] [adversarial] [evaluation] [ingest] [pulses] [forecaster] [ensemble] [startup]: ratios."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(wanted: list[str]) -> None:
    """Run the named benchmarks (all by default) and print one table."""
    from rich.console import Console
    from rich.table import Table

    known = ("steps", "adversarial", "evaluation", "ingest", "pulses", "forecaster", "ensemble", "startup")
    if wrong := [w for w in wanted if w not in known]:
        raise SystemExit(f"benchmark.py: no benchmark {wrong[0]!r}; choose among {', '.join(known)}.")
    table = Table("what", "ours", "usual way", "ratio", title="batgen benchmarks", title_justify="left")
    for name in wanted or known:
        if name == "startup":
            from benchmarks.startup import run

            for what, seconds in run():
                table.add_row(what, f"{seconds:.2f} s", "", "")
        else:
            module = __import__(f"benchmarks.{name}", fromlist=["run"])
            for what, ours, usual, ratio in module.run():
                table.add_row(what, f"{ours:.4g}", f"{usual:.4g}", f"{ratio:.3g}")
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
