"""Several datasets as one, for models of per-cycle sequences: each cell keeps its own facts, chemistry and columns.

A member is any source that holds sequences; its key in `sources` becomes `source` of its cells and goes before their ids
(`nasa/B0005`), so that ids stay unique. Members are read through their own stores: their raw files are parsed once,
whether they are used alone or in pools.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from batgen.build import build, signature
from batgen.data.cell import Cell, Rejected, Source
from batgen.data.store import open_store
from batgen.errors import ConfigError, DataError

HELD = "sequences"
#: What a data YAML says for models of curves is no argument of the source.
_BESIDE = ("curves", "sequences", "profiles")
#: Curves of a member are not needed; a store that was built with more of them serves as well.
_CURVES = 1
READER = 1


@dataclass(frozen=True)
class Pool:
    """The cells of all members, in the order of `sources`, without curves.

    sources: name -> node of a source, as in its own YAML; null leaves a member out (data.sources.NAME=null).
    Raises ConfigError for a pool without members, a member without _target_ and one without per-cycle sequences.
    """

    HOLDS = ("sequences",)

    name: str = "pool"
    sources: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    censored: str = "last_record"
    conditions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self._chosen:
            raise ConfigError(
                "data.sources: the pool has no member. Add some: +data@data.sources.mit_summary=mit_summary."
            )
        for key, node in self._chosen.items():
            if "_target_" not in node:
                raise ConfigError(
                    f"data.sources.{key}: no dataset there. Add one by its name: +data@data.sources.{key}=NAME."
                )
            held = signature(node["_target_"]).constants.get("HOLDS", ("curves",))
            if HELD not in held:
                raise ConfigError(
                    f"data.sources.{key} holds {' and '.join(held)}, no per-cycle sequences. Leave it out of the pool "
                    f"(data.sources.{key}=null)."
                )

    @property
    def folder(self) -> str:
        """None of its own: each member has one."""
        return ""

    @property
    def eol_capacity_Ah(self) -> float:
        """Not a number: each member has its own."""
        return float("nan")

    @property
    def version(self) -> int:
        """This reader's version and those of the members: a change of any of them makes the store stale."""
        versions = [(key, member.version) for key, member in self.members().items()]
        return (READER << 32) | crc32(repr(versions).encode())

    def members(self) -> dict[str, Source]:
        """The sources by name. Raises what they raise on bad arguments."""
        return {key: build({k: v for k, v in node.items() if k not in _BESIDE}) for key, node in self._chosen.items()}

    def files(self) -> list[Path]:
        """The raw files of all members, each once. Raises DataError, naming the member, when any is missing."""
        found: list[Path] = []
        for key, member in self.members().items():
            try:
                found += member.files()
            except DataError as error:
                raise DataError(f"data.sources.{key}: {error} Or leave it out: data.sources.{key}=null.") from error
        return list(dict.fromkeys(found))

    def cells(self, cycles: int | None = None) -> Iterator[Cell]:
        """The cells of all members with the summaries of their whole life, as their own stores have them."""
        for key, member in self.members().items():
            store = open_store(member, _CURVES, progress=False)  # the pool's own store shows progress
            rejected: dict[str, list[Rejected]] = {}
            for cell_id, record, reason in store.rejected:
                rejected.setdefault(cell_id, []).append(Rejected(record, reason))
            for info in store.infos:
                yield Cell(
                    replace(info, cell_id=f"{key}/{info.cell_id}", source=key),
                    [],
                    store.summary(info.cell_id),
                    rejected.get(info.cell_id, []),
                    store.units[info.cell_id],
                )

    @property
    def _chosen(self) -> dict[str, Mapping[str, Any]]:
        return {key: node for key, node in self.sources.items() if node is not None}
