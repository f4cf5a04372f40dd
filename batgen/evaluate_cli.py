"""The words of scripts/evaluate.py: finished runs, several of them, or files of curves from any tool."""

from collections.abc import Sequence
from pathlib import Path

from batgen.errors import ConfigError
from batgen.words import key_values

USAGE = """python scripts/evaluate.py run=DIR [rows=1000] [draws=20] [seed=0] [baselines=true] [again=false]
python scripts/evaluate.py runs=[DIR,DIR,...] [out=comparison.html]
python scripts/evaluate.py generated=FILE real=FILE [train=FILE] [out=DIR]

run: every metric for a finished run and the baselines beside it, from its folder alone; writes evaluation.json (tidy rows),
evaluation.md, evaluation.h5 and report.html there. runs: the same for each, and one page that compares them.
generated, real, train: files of curves in physical units (.h5, .parquet, .csv) from any tool: what it generated, what was
measured on cells it never saw, and what it was trained on (without it there is no memorisation and no floor). The format is
in batgen/data/exchange/__init__.py; scripts/generate.py writes it. A column `pair` in generated says for which row of `real`
a curve was drawn; without it, curves of the same cell and cycle belong together, else only whole sets are compared.
rows, draws: held-out curves at most, and draws of each. again: evaluate anew what was evaluated before with the same settings."""
OWN = ("run", "runs", "generated", "real", "train", "out", "rows", "draws", "seed", "baselines", "again")


def main(argv: Sequence[str]) -> None:
    """Parse KEY=VALUE words, evaluate, print what matters most. Raises ConfigError for a word it does not know."""
    if not argv or any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    words = key_values(argv, OWN, "run=outputs/DIR")
    doors = [key for key in ("run", "runs", "generated") if key in words]
    if len(doors) != 1:
        raise ConfigError("give one of run=DIR, runs=[DIR,DIR] or generated=FILE real=FILE. See --help.")

    from batgen.compared.judged import EvaluateSettings

    settings = EvaluateSettings(
        _whole(words, "rows", 1000),
        _whole(words, "draws", 20),
        _whole(words, "seed", 0),
        _flag(words, "baselines", True),
    )
    if doors == ["generated"]:
        _files(words, settings)
    else:
        _runs(words, settings)


def _runs(words: dict[str, str], settings: object) -> None:
    from batgen.compared.judged import EvaluateSettings
    from batgen.console import console
    from batgen.evaluate import compare_runs, evaluate_run
    from batgen.report.evaluation_table import print_headlines

    assert isinstance(settings, EvaluateSettings)
    for key in ("real", "train"):
        if key in words:
            raise ConfigError(f"{key}={words[key]}: belongs to generated=FILE. Leave it out.")
    out, again = console(), _flag(words, "again", False)
    folders = [Path(w.strip()) for w in words.get("runs", words.get("run", "")).strip("[]").split(",") if w.strip()]
    for folder in folders:
        rows = evaluate_run(folder, settings, out, again)
        print_headlines(rows, out)
        out.print(f"all metrics: {folder / 'evaluation.md'}; page: {folder / 'report.html'}")
    if "runs" in words:
        page = compare_runs(folders, Path(words.get("out", "comparison.html")))
        out.print(f"comparison: {page}")


def _files(words: dict[str, str], settings: object) -> None:
    from batgen.compared.judged import EvaluateSettings
    from batgen.console import console
    from batgen.evaluate_files import evaluate_files
    from batgen.report.evaluation_table import print_headlines

    assert isinstance(settings, EvaluateSettings)
    if "real" not in words:
        raise ConfigError(
            "real=FILE is missing: the measured curves that the generated ones are judged by. See --help."
        )
    generated = Path(words["generated"])
    folder = Path(words.get("out", f"{generated.stem}-evaluation"))
    train = Path(words["train"]) if "train" in words else None
    out = console()
    rows = evaluate_files(generated, Path(words["real"]), train, folder, settings, out)
    print_headlines(rows, out)
    out.print(f"all metrics: {folder / 'evaluation.md'}; page: {folder / 'report.html'}")


def _whole(words: dict[str, str], key: str, default: int) -> int:
    try:
        return int(words.get(key, default))
    except ValueError:
        raise ConfigError(f"{key}={words[key]}: not a whole number.") from None


def _flag(words: dict[str, str], key: str, default: bool) -> bool:
    value = words.get(key, str(default)).lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{key}={words[key]}: write true or false.")
    return value == "true"
