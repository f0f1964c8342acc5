"""The keys by which a file or a command line changes a recipe of any kind, and what their values may be."""

import difflib
import tomllib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from retrieval.core.errors import BadValue
from retrieval.training.config import LoopConfig


def parse_settings(texts: Iterable[str]) -> dict[str, str]:
    """``["epochs=3", "triplet.margin=0.1"]`` as a mapping. Raises BadValue for one that is not ``key=value``."""
    parsed: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadValue(f"The setting {text!r} is not of the form key=value.", "Example: --set epochs=5.")
        parsed[key.strip()] = value.strip()
    return parsed


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys: ``{"triplet": {"margin": 0.1}}`` → ``{"triplet.margin": 0.1}``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def refuse_unknown(recipe: str, values: Iterable[str], known: Iterable[str]) -> None:
    """Raises BadValue where one of the keys is not known; the nearest one is named."""
    known = list(known)
    unknown = [key for key in values if key not in known]
    if unknown:
        raise BadValue(f"The recipe {recipe!r} has no key {unknown[0]!r}.", nearest_hint(unknown[0], known))


def typed_fields(values: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Those of ``values`` that are fields of a dataclass, as its annotations want them. Raises BadValue."""
    hints = get_type_hints(kind)
    return {key: typed(key, value, hints[key]) for key, value in values.items() if key in hints}


def require_one_device(loop: LoopConfig) -> None:
    """Raises ValueError where a recipe asks for several devices: the commands use one."""
    if loop.devices != 1:
        raise ValueError(f"devices is 1: the commands use one device, not {loop.devices}.")


def nearest_hint(key: str, known: Iterable[str], otherwise: str = "Its keys are") -> str:
    """For an error's hint: the known keys most like ``key``, or all of them."""
    near = difflib.get_close_matches(key, list(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"{otherwise}: {', '.join(sorted(known))}."


def typed(key: str, value: Any, kind: Any) -> Any:
    """``value`` as ``kind``, which may be a union, a literal, or a tuple of numbers.

    Args:
        key: for the message.
        value: of that type, or a text: read as a TOML value where it is one, else taken as it is.
        kind: as ``typing.get_type_hints`` gives it.

    Raises:
        BadValue: it is none.
    """
    choices = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    for wanted in choices:
        for candidate in _readings(value):
            if _fits(candidate, wanted):
                return _as(candidate, wanted)
    names = " or ".join("none" if c is type(None) else _name(c) for c in choices)
    raise BadValue(f"{key} takes {names}, not {value!r}.")


def _readings(value: Any) -> list[Any]:
    """What a text may stand for: a TOML value, none, or itself."""
    if not isinstance(value, str):
        return [value]
    if value.lower() in ("none", "null"):
        return [None]
    try:
        return [tomllib.loads(f"v = {value}")["v"], value]
    except tomllib.TOMLDecodeError:
        return [value]


def _as(value: Any, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return tuple(float(item) for item in value)
    return float(value) if kind is float else value


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, float) for item in value)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is type(None):
        return value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind) if isinstance(kind, type) else False


def _name(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "a list of numbers"
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    return {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}.get(kind, str(kind))
