"""What a store was made from, and whether it still is that: configuration, file fingerprints, content hashes."""

import hashlib
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from batgen.data.cell import Source

#: Layout of the HDF5 file. Raise it with every change of `build_store` that a reader would notice.
SCHEMA = 1
#: Source fields that do not shape what a store holds; where raw files come from does not matter, their content does.
_NOT_IN_STORE = {"censored", "conditions", "max_cycles", "download", "urls", "sizes"}
_BLOCK = 1 << 22


def source_config(source: Source) -> dict[str, Any]:
    """The fields of a source that shape its store, as plain JSON values."""
    values = {f.name: getattr(source, f.name) for f in fields(source)}  # type: ignore[arg-type]
    kept = {name: value for name, value in values.items() if name not in _NOT_IN_STORE}
    return json.loads(json.dumps(kept, default=_plain))


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else list(value) if hasattr(value, "__iter__") else str(value)


def store_name(source: Source) -> str:
    """File name of the store of a source: its name and a hash of its configuration, so that configurations coexist."""
    digest = hashlib.sha256(json.dumps(source_config(source), sort_keys=True).encode()).hexdigest()
    return f"{source.name}-{digest[:12]}.h5"


def relative_names(files: list[Path]) -> list[str]:
    """Names of the files below the folder they share, so that they mean the same on every machine."""
    if not files:
        return []
    root = os.path.commonpath([path.parent for path in files])
    return [path.relative_to(root).as_posix() for path in files]


def fingerprint(files: list[Path]) -> list[list[Any]]:
    """[path, size, mtime] of every raw file: cheap to take at every start, local to this machine."""
    return [[str(path), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in files]


def file_hashes(files: list[Path]) -> dict[str, str]:
    """sha256 of the content of every raw file by its relative name."""
    hashes = {}
    for name, path in zip(relative_names(files), files, strict=True):
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        hashes[name] = digest.hexdigest()
    return hashes


def data_hash(source: Source, hashes: dict[str, str]) -> str:
    """sha256 over contents, configuration (without folder and file, which differ between machines) and versions."""
    config = {key: value for key, value in source_config(source).items() if key not in ("folder", "file")}
    identity = {"files": hashes, "config": config, "version": source.version, "schema": SCHEMA}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
