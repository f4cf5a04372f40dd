"""Which runs were judged on the same measured curves: only those may share a line of a table or a baseline."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py

#: (protocol, split, test set) -> digest of the measured curves that evaluation.h5 shows of it.
Curves = Mapping[tuple[str, str, str], str]


def boards(folders: Sequence[Path], kinds: Sequence[tuple[str, str]], names: Sequence[str]) -> list[str]:
    """What to call the curves of each run: "" where all runs of its kind (data, family) were judged on the same ones.

    Two models of one dataset may resample or choose its curves differently; their errors are then not comparable, and a
    baseline of one says nothing of the other. A run without readable curves shares them with none.
    """
    known = [measured_curves(folder) for folder in folders]
    owners: list[int] = []
    for place, own in enumerate(known):
        alike = (k for k in range(place) if kinds[k] == kinds[place] and owners[k] == k and _alike(own, known[k]))
        owners.append(next(alike, place))
    several = {kind for kind in kinds if len({o for o, k in zip(owners, kinds, strict=True) if k == kind}) > 1}
    return [f"curves as {names[o]} has them" if kind in several else "" for o, kind in zip(owners, kinds, strict=True)]


def measured_curves(folder: Path) -> Curves:
    """Digests of signals and shown measured curves; {} without a readable evaluation.h5."""
    found: dict[tuple[str, str, str], str] = {}
    try:
        with h5py.File(folder / "evaluation.h5", "r") as file:
            for group in file.get("sets", {}).values():
                key = tuple(str(group.attrs[k]) for k in ("protocol", "split", "test_set"))
                code = hashlib.sha256(str(group.attrs["signals"]).encode())
                code.update(group["shown/measured"][()].tobytes())
                found.setdefault((key[0], key[1], key[2]), code.hexdigest())
    except (OSError, KeyError):
        return {}
    return found


def _alike(one: Curves, other: Curves) -> bool:
    common = one.keys() & other.keys()
    return bool(common) and all(one[k] == other[k] for k in common)
