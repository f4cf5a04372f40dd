"""From a config node to an object: `_target_` names a class or function of ours, the other keys are its arguments.

`signature` reads a target's arguments out of its source file without importing it: a misspelt key is refused before torch
or Lightning is loaded (they take seconds). `build` imports and calls.
"""

import ast
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from batgen.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Signature:
    """Argument names of a target: `required` have no default; `anything` when it takes **kwargs; `types` as written.

    `constants` holds the class-level literals (ACCEPTS, REQUIRES, PRODUCES) that say which parts fit each other,
    `methods` the names of what a class defines.
    """

    names: tuple[str, ...]
    required: frozenset[str]
    anything: bool
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    methods: frozenset[str] = frozenset()

    def refuses(self, name: str, value: Any) -> str | None:
        """The type that argument `name` wants, where `value` is plainly of another one; None where it will do."""
        wanted = {t.strip() for t in self.types.get(name, "").split("|")}
        if not wanted or not wanted <= {"int", "float", "bool", "str", "None"}:
            return None
        fits = {type(value).__name__, "None" if value is None else ""}
        if isinstance(value, int) and not isinstance(value, bool):
            fits.add("float")
        return None if wanted & fits else " or ".join(sorted(wanted)).replace("None", "null")


@cache
def signature(target: str) -> Signature:
    """Arguments of `target` ("batgen.models.rcvae.RCVAE"), from its source text. Raises ConfigError if there is none."""
    module, _, name = target.rpartition(".")
    path = _source_file(module)
    if path is None:
        raise ConfigError(f"_target_: {target}: there is no module {module!r}. Check the spelling of _target_.")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _from_function(node, drop_self=False, constants={})
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _from_class(node, _base(node, tree))
    raise ConfigError(f"_target_: {target}: {path} defines no {name!r}. Check the spelling of _target_.")


def _source_file(module: str) -> Path | None:
    if module.split(".")[0] == "batgen":
        base = PACKAGE.joinpath(*module.split(".")[1:])
        return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
    try:  # a user's own module: found without running it, except for the packages above it
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _from_function(node: ast.FunctionDef, drop_self: bool, constants: Mapping[str, Any]) -> Signature:
    args = node.args
    positional = [*args.posonlyargs, *args.args][1 if drop_self else 0 :]
    optional = {a.arg for a in positional[len(positional) - len(args.defaults) :]} if args.defaults else set()
    optional |= {a.arg for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None}
    every = [*positional, *args.kwonlyargs]
    types = {a.arg: ast.unparse(a.annotation) for a in every if a.annotation is not None}
    names = tuple(a.arg for a in every)
    return Signature(names, frozenset(names) - optional, args.kwarg is not None, types, constants)


def _base(node: ast.ClassDef, tree: ast.Module) -> Signature:
    """What a class has from the class of ours that it extends, where that is imported by name."""
    for item in tree.body:
        if isinstance(item, ast.ImportFrom) and (item.module or "").startswith("batgen."):
            for alias in item.names:
                if any(isinstance(base, ast.Name) and base.id == (alias.asname or alias.name) for base in node.bases):
                    return signature(f"{item.module}.{alias.name}")
    return Signature((), frozenset(), False, {}, {})


def _from_class(node: ast.ClassDef, base: Signature) -> Signature:
    constants: dict[str, Any] = dict(base.constants)
    fields: dict[str, bool] = {name: name in base.required for name in base.names}
    types: dict[str, str] = dict(base.types)
    methods = base.methods | {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return replace(_from_function(item, drop_self=True, constants=constants), methods=methods)
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            _keep_literal(constants, item.targets[0].id, item.value)
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if "ClassVar" in ast.unparse(item.annotation) and item.value is not None:
                _keep_literal(constants, item.target.id, item.value)
            else:
                fields[item.target.id] = item.value is None
                types[item.target.id] = ast.unparse(item.annotation)
    required = frozenset(name for name, needed in fields.items() if needed)
    return Signature(tuple(fields), required, base.anything, types, constants, methods)


def _keep_literal(constants: dict[str, Any], name: str, value: ast.expr) -> None:
    try:
        constants[name] = ast.literal_eval(value)
    except ValueError:
        return


def build(node: Mapping[str, Any], *args: Any, **extra: Any) -> Any:
    """Call `node["_target_"]` with the other keys of `node`, as they are, and `extra`."""
    target = node["_target_"]
    module, _, name = target.rpartition(".")
    call = getattr(importlib.import_module(module), name)
    return call(*args, **{k: v for k, v in node.items() if k != "_target_"}, **extra)
