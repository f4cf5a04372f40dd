"""What is searched: `search.space`, nested like the config, as a list of parameters.

A leaf is a list of choices, or {low, high} with log or step, or {choices}; `when` says at which values of other parameters
this one is searched at all. A range is of whole numbers when low, high and step are whole.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from omegaconf import DictConfig, OmegaConf

from batgen.config import did_you_mean
from batgen.errors import ConfigError

LEAF = ("low", "high", "log", "step", "choices", "when")
_EXAMPLE = "write a list of choices, or {low: 1, high: 9}"


@dataclass(frozen=True)
class Parameter:
    """key: where it lies in the config ("model.optim.lr"). choices, or None for a range from low to high, both included.

    when: for each other parameter that this one hangs on, the values at which it is searched.
    """

    key: str
    choices: tuple[Any, ...] | None = None
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    def active(self, chosen: Mapping[str, Any]) -> bool:
        """Whether it is searched beside the values `chosen` of those it hangs on."""
        return all(key in chosen and _among(chosen[key], values) for key, values in self.when)

    def values(self) -> list[Any] | None:
        """All values it can take, in order; None where there is no end of them."""
        if self.choices is not None:
            return list(self.choices)
        if self.log or (self.step is None and not self.whole):
            return list(range(int(self.low), int(self.high) + 1)) if self.whole else None
        step = self.step or 1
        return [self.low + i * step for i in range(round((self.high - self.low) / step) + 1)]

    def at(self, u: float) -> Any:
        """The value at share u, 0 <= u < 1, of its range."""
        if self.log:
            half = 0.5 if self.whole else 0.0
            low, high = math.log(self.low - half), math.log(self.high + half)
            value = math.exp(low + u * (high - low))
            return min(max(round(value), int(self.low)), int(self.high)) if self.whole else min(value, self.high)
        if (known := self.values()) is not None:
            return known[int(u * len(known))]
        return self.low + u * (self.high - self.low)

    def takes(self, value: Any) -> bool:
        """Whether `value` is one that it can have."""
        if self.choices is not None or (known := self.values()) is not None:
            return _among(value, self.choices if self.choices is not None else tuple(known or ()))
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def text(self) -> str:
        """`[16, 32]`, `1e-05..0.01 log`, `2..16 step 2`."""
        if self.choices is not None:
            text = "[" + ", ".join("null" if c is None else str(c) for c in self.choices) + "]"
        else:
            text = f"{self.low}..{self.high}" + (" log" if self.log else "")
            text += f" step {self.step}" if self.step is not None else ""
        hangs = " and ".join(f"{key}={'|'.join(map(str, values))}" for key, values in self.when)
        return f"{text} when {hangs}" if hangs else text


def parse_space(space: Any, cfg: DictConfig | None = None) -> tuple[Parameter, ...]:
    """The parameters of `search.space`, each behind those it hangs on.

    Where `when` names a key of `cfg` that is not searched, its value there decides whether the parameter is.
    Raises ConfigError with one line per problem: an empty space, an impossible range, unknown keys, a `when` that names no
    parameter, a value it cannot have, or goes in a circle.
    """
    found: list[Parameter] = []
    problems = list(_read(space, "", found)) if isinstance(space, Mapping) else []
    if not problems and not found:
        raise ConfigError(
            "search.space: it is empty, so there is nothing to search. Name parameters, such as "
            "'+search.space.model.hidden=[32,64]', or choose a search that has some (search=rcvae)."
        )
    if cfg is not None:
        found = _settled(found, cfg)
    known = {p.key: p for p in found}
    problems += [line for p in found for line in _hangs(p, known)]
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        order = TopologicalSorter({p.key: [key for key, _ in p.when] for p in found}).static_order()
        return tuple(known[key] for key in order)
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ConfigError(f"search.space: 'when' goes in a circle ({circle}). Take one of them out.") from None


def _settled(found: Sequence[Parameter], cfg: DictConfig) -> list[Parameter]:
    """`found` without the conditions that `cfg` answers, and without the parameters that it rules out."""
    searched, kept = {p.key for p in found}, []
    for p in found:
        fixed = {key for key, _ in p.when if key not in searched and _has(cfg, key)}
        if all(_among(OmegaConf.select(cfg, key), values) for key, values in p.when if key in fixed):
            kept.append(replace(p, when=tuple(one for one in p.when if one[0] not in fixed)))
    return kept if len(kept) == len(found) else _settled(kept, cfg)  # others may hang on what fell out


def _has(cfg: DictConfig, key: str) -> bool:
    """Whether `cfg` has `key`, be it null."""
    absent = object()
    return OmegaConf.select(cfg, key, default=absent) is not absent


def _read(node: Mapping[str, Any], path: str, found: list[Parameter]) -> Iterator[str]:
    for name, child in node.items():
        key = f"{path}.{name}" if path else str(name)
        where = f"search.space.{key}"
        if isinstance(child, Sequence) and not isinstance(child, str):
            child = {"choices": child}
        if not isinstance(child, Mapping):
            hint = did_you_mean(str(name), LEAF) if path and str(name) not in LEAF else "."
            yield f"{where}={child}: is nothing to choose from; {_EXAMPLE}" + (hint if "did you" in hint else ".")
        elif set(child) & {"low", "high", "choices"}:
            problems = list(_leaf(child, where))
            yield from problems
            if not problems:
                found.append(_parameter(key, child))
        else:
            yield from _read(child, key, found)


def _leaf(leaf: Mapping[str, Any], where: str) -> Iterator[str]:
    for name in leaf:
        if name not in LEAF:
            yield f"{where}.{name}: unknown key{did_you_mean(str(name), LEAF)}"
    if leaf.get("when") is not None and (not isinstance(leaf["when"], Mapping) or not leaf["when"]):
        yield f"{where}.when={leaf['when']}: name parameters and values, such as when: {{model.variant: [tokens]}}."
    if "choices" in leaf:
        choices = leaf["choices"]
        if others := [name for name in ("low", "high", "log", "step") if name in leaf]:
            yield f"{where}: it has choices and {others[0]}. Keep one of the two."
        elif not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
            yield f"{where}.choices={choices}: there is nothing to choose from. Give a list, such as [16, 32]."
        elif bad := [c for c in choices if not isinstance(c, str | int | float | bool | None)]:
            yield f"{where}.choices: {bad[0]} is no single value; choices are numbers, words, true, false or null."
        elif len({(type(c), c) for c in choices}) < len(choices):
            yield f"{where}.choices={list(choices)}: names a value twice."
        return
    if missing := [name for name in ("low", "high") if name not in leaf]:
        yield f"{where}: '{missing[0]}' is missing; a range needs both low and high."
        return
    numbers = {name: leaf[name] for name in ("low", "high", "step") if leaf.get(name) is not None}
    for name in ("low", "high", "step"):
        value = numbers.get(name, None if name == "step" else leaf[name])
        bad_number = isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        if bad_number and (name in numbers or name != "step"):
            yield f"{where}.{name}={value}: must be a number (1.0e-5 in YAML, not 1e-5)."
            return
    if not isinstance(leaf.get("log", False), bool):
        yield f"{where}.log={leaf['log']}: must be true or false."
        return
    yield from _range(leaf, where)


def _range(leaf: Mapping[str, Any], where: str) -> Iterator[str]:
    low, high, step = leaf["low"], leaf["high"], leaf.get("step")
    if low > high:
        yield f"{where}: low={low} is above high={high}. Swap them."
    elif leaf.get("log") and low <= 0:
        yield f"{where}: low={low} with log=true; a logarithmic range begins above 0."
    elif leaf.get("log") and step is not None:
        yield f"{where}: step={step} with log=true; leave one of them out."
    elif step is not None and step <= 0:
        yield f"{where}.step={step}: must be above 0."
    elif step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        last = low + int((high - low) / step) * step
        yield f"{where}: step={step} does not lead from low={low} to high={high}. Use high={last:g}."


def _parameter(key: str, leaf: Mapping[str, Any]) -> Parameter:
    when = tuple(
        (str(k), tuple(v) if isinstance(v, list | tuple) else (v,)) for k, v in (leaf.get("when") or {}).items()
    )
    if "choices" in leaf:
        return Parameter(key, tuple(leaf["choices"]), when=when)
    return Parameter(key, None, leaf["low"], leaf["high"], bool(leaf.get("log")), leaf.get("step"), when)


def _hangs(parameter: Parameter, known: Mapping[str, Parameter]) -> Iterator[str]:
    for key, values in parameter.when:
        where = f"search.space.{parameter.key}.when: {key}"
        if key not in known:
            yield f"{where} is no parameter of the space{did_you_mean(key, known)}"
            continue
        for value in values or (None,):
            if not known[key].takes(value):
                yield f"{where}={value} never happens; it is searched over {known[key].text()}."


def _among(value: Any, values: Sequence[Any]) -> bool:
    """Whether `value` is one of `values`; true is not 1, and sums of steps are equal within rounding."""
    for other in values:
        if isinstance(value, bool) is not isinstance(other, bool):
            continue
        if isinstance(value, int | float) and isinstance(other, int | float):
            if math.isclose(value, other, rel_tol=1e-9):
                return True
        elif value == other:
            return True
    return False
