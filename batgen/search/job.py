"""One trial, in its job: it rejoins its study, trains, reports, and says what came out. The sweeper tells the study."""

import json
import math
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from batgen import run
from batgen.console import console, speaking_to
from batgen.errors import BatgenError, ConfigError
from batgen.files import write_json
from batgen.job import LOG
from batgen.search.settings import SearchSettings, read_settings
from batgen.search.storage import open_storage, storage_errors
from batgen.search.study import choose_pruner
from batgen.trials import NoTrial

if TYPE_CHECKING:
    from optuna.trial import Trial


#: What a trial that came to its end leaves in its folder, should nobody be there to hear it.
RESULT = "result.json"


def run_trial(cfg: DictConfig, folder: Path) -> dict[str, Any]:
    """Train trial `cfg.search.trial` in `folder` (SEARCH/trials/0007); what is said, warnings too, goes to log.txt there,
    what is returned to result.json.

    Returns {"state": "complete" or "pruned", "values": {name: float}, "epochs" or "steps": int, "seconds": float}: plain, to
    travel between processes. Raises BatgenError where the trial cannot be run.
    """
    from batgen.training.watch import Pruned

    settings, unit, started = read_settings(cfg), run.trial_unit(cfg), time.monotonic()
    cfg.search = cfg.ablation = None  # they say why it is run, not what it is
    above = folder.parent.parent  # the search's folder
    with speaking_to(folder / LOG), _written_to(folder / LOG), storage_errors(settings.storage, above):
        trial = _rejoin(settings, above, cfg)
        done = 0

        def report(step: int, value: float) -> bool:
            nonlocal done
            done = step + 1
            if len(settings.objectives) > 1 or settings.pruner == "none":
                return False
            trial.report(value, step)
            return trial.should_prune()

        try:
            values = run.trial(cfg, folder, report)
        except Pruned:
            console().print(f"pruned after {unit[:-1]} {done}")
            return _left(folder, {"state": "pruned", "values": {}, unit: done, "seconds": time.monotonic() - started})
        except BatgenError as error:
            console().print(str(error), markup=False)
            raise
        except Exception:
            console().print(traceback.format_exc(), markup=False)
            raise
    numbers = {str(k): float(v) for k, v in values.items() if isinstance(v, int | float)}
    done = int(numbers.get(unit, done))
    return _left(folder, {"state": "complete", "values": numbers, unit: done, "seconds": time.monotonic() - started})


def _left(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    write_json(folder / RESULT, result)
    return result


def left_behind(folder: Path) -> dict[str, Any] | None:
    """What the trial in `folder` returned, as it wrote it; None where it came to no end."""
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    result["values"] = {name: math.nan if value is None else value for name, value in result["values"].items()}
    return result


def objective_values(settings: SearchSettings, values: dict[str, float]) -> list[float]:
    """What a complete trial is told with. Raises NoTrial for an objective that is not measured, ConfigError for no number."""
    if missing := [name for name in settings.objectives if name not in values]:
        known = ", ".join(name for name in values if name.startswith("val/"))
        raise NoTrial(f"search.objectives: {missing[0]} is not measured by this model's trials. They measure: {known}.")
    for name in settings.objectives:
        if not math.isfinite(values[name]):
            raise ConfigError(f"{name} is {values[name]}: the training did not converge to numbers.")
    return [values[name] for name in settings.objectives]


@contextmanager
def _written_to(path: Path) -> Iterator[None]:
    """Standard output and error go to the end of `path`: in the terminal a search has one line a trial."""
    with path.open("a", encoding="utf-8", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        yield


def _rejoin(settings: SearchSettings, folder: Path, cfg: DictConfig) -> "Trial":
    import optuna

    storage = open_storage(settings.storage, folder)
    study = optuna.load_study(
        study_name=settings.name,
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=choose_pruner(settings, cfg),
    )
    assert isinstance(settings.trial, int)
    return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[settings.trial]._trial_id)
