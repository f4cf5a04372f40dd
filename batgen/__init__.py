"""batgen: an experiment framework for generative battery data."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `batgen.load(path)` without making `import batgen` wait for torch.
    if name == "load":
        from batgen.checkpoint import load

        return load
    raise AttributeError(f"module 'batgen' has no attribute {name!r}")
