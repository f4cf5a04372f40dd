"""The raw MIT/Stanford/TRI batches of Severson et al., Nature Energy 4, 383 (2019): 124 A123 LFP cells, fast-charged.

Numbering. Record i of a cell (from 0) is cycle i + 1 in all three files: the authors left the formation cycle out, and
in the first batch record 0 is an empty placeholder for a first cycle that was logged too fast and never exported. This
is the numbering of the published Qd(V) files, of the authors' `LoadData.m` (MATLAB counts from 1), of the published
lives, and of the authors' other exports where those overlap. So the first batch starts at ECL 2; a formation record,
should a file have one at its start, is rejected by its capacity.

End of life. In batches 1 and 3 every test ends just above 0.88 Ah; the authors then count one cycle more than recorded.
See `end_of_life`.
"""

import csv
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from batgen.data.cell import Cell, CellInfo, Cycle, Rejected
from batgen.data.download import find_or_fetch
from batgen.data.eol import eol_cycle
from batgen.data.policy import parse_policy
from batgen.data.sources.mit_raw import RawBatch, check_batch_file
from batgen.data.sources.mit_signals import MINUTE, NOMINAL_AH, read_curves, read_summary
from batgen.errors import DataError

FILES = tuple(f"{day}_batchdata_updated_struct_errorcorrect.mat" for day in ("2017-05-12", "2017-06-30", "2018-04-12"))
CLEANING = Path(__file__).resolve().parent.parent / "files" / "mit_cells.csv"
#: Raised by hand with every change of what this reader yields.
READER = 1
#: How near the threshold a record must end for the authors' own cycle life to be taken (theirs end within 0.6 %).
NEAR_EOL = 1.01
#: Cycles of difference between our crossing and the authors' life that are worth a word.
EOL_SLACK = 3


@dataclass(frozen=True)
class Rule:
    """A row of the cleaning table: leave a cell out, or append its records to those of `target`."""

    action: str
    target: str
    cycle_life_added: float
    reason: str


@dataclass(frozen=True)
class Mit:
    """The three raw batches, cleaned to 124 cells. Yields cells in file order, one in memory at a time.

    folder: where the three files are, below BATGEN_DATA_DIR or absolute. download: fetch files that are nowhere from
    `urls` (into the cache folder; `sizes` in bytes are checked). cleaning: CSV of left-out and continued cells, by
    default the packaged `batgen/data/files/mit_cells.csv`; a row whose cell the file doesn't have does nothing.
    """

    HOLDS = ("curves", "sequences", "profiles")

    name: str = "mit"
    folder: str = "mit"
    eol_capacity_Ah: float = 0.88
    censored: str = "drop"
    conditions: list[str] = field(default_factory=lambda: ["eol", "ecl", "c1", "q1", "c2"])
    download: bool = True
    urls: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    cleaning: str | None = None

    @property
    def version(self) -> int:
        """The reader's version, and the content of the cleaning table: editing that makes a store stale too."""
        return (READER << 32) | zlib.crc32(self._table().read_bytes())

    def files(self) -> list[Path]:
        """The three batches, downloaded if need be. Raises one DataError when some are missing."""
        return find_or_fetch(FILES, self.folder, self.urls if self.download else {}, self.sizes, check_batch_file)

    def _table(self) -> Path:
        table = Path(self.cleaning).expanduser() if self.cleaning else CLEANING
        if not table.is_file():
            raise DataError(f"data.cleaning: {table} does not exist. Name a CSV, or null for the packaged one.")
        return table

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """The cells that the cleaning keeps, with the curves of ECL 1..`cycles` and the summary of their whole life."""
        rules = read_cleaning(self._table())
        continued = {rule.target: key for key, rule in rules.items() if rule.action == "continues"}
        with ExitStack() as stack:
            batches = [stack.enter_context(RawBatch(path)) for path in self.files()]
            for b, batch in enumerate(batches, start=1):
                for i in range(batch.n_cells):
                    if (b, i) in rules:
                        continue
                    parts = [(batch, i)]
                    rejected: list[Rejected] = []
                    added = 0.0
                    if (key := continued.get(f"b{b}c{i}")) is not None:
                        other, j = batches[key[0] - 1], key[1]
                        if j < other.n_cells:
                            parts.append((other, j))
                            added = rules[key].cycle_life_added
                        else:
                            why = f"its continuation is not in {other.path.name}, which has {other.n_cells} cells only"
                            rejected.append(Rejected(f"b{key[0]}c{j}", why))
                    yield self._cell(f"b{b}c{i}", parts, added, rejected, cycles)

    def _cell(
        self, cell_id: str, parts: list[tuple[RawBatch, int]], added: float, rejected: list[Rejected], limit: int | None
    ) -> Cell:
        """One cell from its parts, whose records follow each other."""
        cycles: list[Cycle] = []
        tables: list[pd.DataFrame] = []
        notes: list[str] = []
        done, time_factor = 0, MINUTE
        for batch, i in parts:
            raw = batch.summary(i, cell_id)
            first = None if limit is None else max(0, limit - done)
            part, fix = read_curves(batch, i, cell_id, done, first, rejected)
            cycles += part
            if fix is not None:
                time_factor = fix.time_factor
                notes += [fix.note] if fix.note not in notes else []
            tables.append(read_summary(raw, done, time_factor, rejected))
            done += len(raw["QDischarge"])
        if not cycles and (limit is None or limit > 1):
            reasons = "; ".join(f"{r.record}: {r.reason}" for r in rejected[:3])
            raise DataError(
                f"{parts[0][0].path}: cell {cell_id} has no usable cycle ({reasons}). Leave it out with a row of "
                "action 'exclude' in the cleaning table (data.cleaning), or fetch the file again."
            )
        summary = pd.concat(tables, ignore_index=True)
        batch, i = parts[0]
        policy = batch.text("policy_readable", i)
        c1, q1, c2 = parse_policy(policy)
        eol, definition = end_of_life(summary, self.eol_capacity_Ah, batch.number("cycle_life", i) + added)
        info = CellInfo(
            cell_id=cell_id,
            source=self.name,
            chemistry="LFP",
            nominal_capacity_Ah=NOMINAL_AH,
            voltage_min_V=2.0,
            voltage_max_V=3.6,
            ambient_degC=30.0,
            policy=policy,
            c1=c1,
            q1=q1,
            c2=c2,
            discharge_c_rate=4.0,
            eol_cycle=eol,
            eol_definition=definition,
            censored=bool(np.isnan(eol)),
            last_cycle=int(summary["cycle"].iloc[-1]),
        )
        return Cell(info, cycles, summary, rejected, "; ".join(notes))


def end_of_life(summary: pd.DataFrame, threshold_Ah: float, authors: float) -> tuple[float, str]:
    """End of life of a cell and where it came from; NaN where the cell is censored.

    A sustained crossing in the record wins over the authors' `cycle_life`, since the threshold is ours to set. Where the
    record ends without one, but within 1 % of the threshold, the authors' life counts if it is the next cycle or so:
    their tests stop there and they add one to the last cycle. Otherwise the cell is censored.
    """
    capacity = summary["discharge_capacity_Ah"]
    eol = eol_cycle(summary["cycle"], capacity, threshold_Ah)
    if np.isfinite(eol):
        words = f"first sustained discharge capacity below {threshold_Ah:g} Ah"
        if np.isfinite(authors) and abs(authors - eol) > EOL_SLACK:
            words += f" (the file's cycle_life says {authors:.0f})"
        return eol, words
    known = summary[capacity.notna()]
    last_cycle, last_Ah = known.iloc[-1][["cycle", "discharge_capacity_Ah"]] if len(known) else (0, np.inf)
    ended = f"the record ends at {last_Ah:.4g} Ah in cycle {last_cycle:.0f}"
    if last_Ah <= NEAR_EOL * threshold_Ah and abs(authors - last_cycle - 1) <= EOL_SLACK:
        return authors, f"the file's cycle_life: {ended}, just above {threshold_Ah:g} Ah"
    claim = f", though the file's cycle_life says {authors:.0f}" if np.isfinite(authors) else ""
    return float("nan"), f"not reached: {ended}, above {threshold_Ah:g} Ah{claim}"


def read_cleaning(table: Path) -> dict[tuple[int, int], Rule]:
    """(batch from 1, index in the file from 0) -> what to do with that cell. Raises DataError, naming the row."""
    rules = {}
    with table.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                batch, index, action = int(row["batch"]), int(row["index"]), row["action"]
                added = float(row["cycle_life_added"] or 0)
                if action not in ("exclude", "continues") or (action == "continues") != bool(row["target"]):
                    raise ValueError("action is 'exclude', or 'continues' with a target such as b1c0")
                if batch not in range(1, len(FILES) + 1) or index < 0:
                    raise ValueError("batch is 1, 2 or 3, index counts from 0")
                rules[batch, index] = Rule(action, row["target"], added, row["reason"])
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{table}, line {line}: {error}. Columns: batch,index,action,target,cycle_life_added,reason."
                ) from error
    return rules
