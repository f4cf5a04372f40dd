"""The words of scripts/generate.py. What a run can be asked for depends on the run, so there is no fixed config."""

from collections.abc import Sequence
from pathlib import Path

from batgen.data import exchange
from batgen.errors import ConfigError
from batgen.preprocessing.conditions import CATEGORICAL, NUMERIC
from batgen.words import key_values

USAGE = """python scripts/generate.py run=DIR CONDITION=VALUE ... [n=1] [seed=0] [prior=slope] [cell=ID] [out=curves.h5]
                           [format=batgen]

Draws n cycles, profiles or pulse tests from the model of a finished run and writes them in physical units (.h5, .csv or
.parquet). Conditions: eol, ecl (cycles), soc, soh (fractions), ambient_degC, start_temperature_degC, c_rate, c_rate_rms, c1,
c2 (C-rate), q1 (fraction), chemistry, nominal_capacity_Ah; which of them a run knows is in its config.yaml. Those left out
take the values of the nearest training row.
Profile runs hold one model a fold, pulse runs one a case and fold: run=DIR/honest-seed0/models/NAME.ckpt picks one.
cell=ID: the cell whose first records profiles continue, in runs with preprocessing.relative=reference.
prior (none, slope, latent_scaling): what pulse runs assume beyond the training SOCs.
format=bdf: columns of the Battery Data Format (.csv, .parquet, .bdf), of curves with time, voltage and current.
format=batteryml: a cell as BatteryML loads it (.pkl, and .json of the same), of curves with voltage and current.
Example: python scripts/generate.py run=outputs/2026-11-20/09-00-00_rcvae_sim eol=800 ecl=50 n=100 out=curves.h5"""
OWN = ("run", "n", "seed", "prior", "cell", "out", "format")


def main(argv: Sequence[str]) -> None:
    """Parse KEY=VALUE words, generate, write, say what was done. Raises ConfigError for a word it does not know."""
    if not argv or any(a in ("-h", "--help") for a in argv):
        print(USAGE)
        return
    words = key_values(argv, [*OWN, *NUMERIC, *CATEGORICAL], "eol=800")
    if "run" not in words:
        raise ConfigError("run=DIR is missing: the folder of a finished run. See --help.")
    form = words.get("format", "batgen")
    out = Path(words.get("out", f"curves{exchange.FORMATS.get(form, ('.h5',))[0]}"))
    exchange.check_path(out, form)

    from batgen.generate import generate, write  # torch

    conditions = {k: v for k, v in words.items() if k not in OWN}
    own = {key: words[key] for key in ("prior", "cell") if key in words}
    made = generate(Path(words["run"]), conditions, _whole(words, "n", 1), _whole(words, "seed", 0), **own)
    out = write(out, made, form)
    for note in made.notes:
        print(f"note: {note}")
    count, points = next(iter(made.signals.values())).shape
    names = list(made.signals)
    kind = "profiles" if "trained_as" in made.provenance else "cycles"  # one model a fold: never of cycles
    what = (
        f"{kind} x {points} points ({', '.join(names)})" if points > 1 else f"pulse tests ({names[0]} to {names[-1]})"
    )
    print(f"{count} synthetic {what} -> {out}")


def _whole(words: dict[str, str], key: str, default: int) -> int:
    try:
        return int(words.get(key, default))
    except ValueError:
        raise ConfigError(f"{key}={words[key]}: not a whole number.") from None
