"""Reading JSON that a measurement wrote: whatever does not fit is damage, and is said as such."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from retrieval.core.errors import RetrievalError
from retrieval.functional.metrics import Interval

Document = Mapping[str, Any]


def damaged(why: str) -> NoReturn:
    """Raise the error of a calibration that cannot be used."""
    raise RetrievalError(f"The calibration is damaged: {why}.", "Train or evaluate again; that measures it anew.")


def parse(content: bytes) -> Document:
    """The JSON object in ``content``. Raises RetrievalError where there is none."""
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError):
        damaged("it is not JSON")
    return document(value, "it")


def document(value: object, what: str) -> Document:
    """``value`` if it is a JSON object. Raises RetrievalError otherwise."""
    if not isinstance(value, Mapping):
        damaged(f"{what} is not a JSON object")
    return value


def number(values: Document, key: str, low: float = -math.inf, high: float = math.inf) -> float:
    """The finite number under ``key``, in [low, high]. Raises RetrievalError otherwise."""
    return _number(values.get(key), f"“{key}”", low, high)


def whole(values: Document, key: str) -> int:
    """The count under ``key``, at least 0. Raises RetrievalError otherwise."""
    value = values.get(key)
    if type(value) is not int or value < 0:
        damaged(f"“{key}” is not a count")
    return value


def numbers(values: Document, key: str, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...]:
    """The list of finite numbers under ``key``, each in [low, high]. Raises RetrievalError otherwise."""
    value = values.get(key)
    if not isinstance(value, list):
        damaged(f"“{key}” is not a list")
    return tuple(_number(one, f"a value of “{key}”", low, high) for one in value)


def interval(values: Document, key: str) -> Interval:
    """The interval of shares under ``key``. Raises RetrievalError where its parts are missing or out of order."""
    found = document(values.get(key), f"“{key}”")
    mean, low, high = (number(found, name, 0.0, 1.0) for name in ("mean", "low", "high"))
    if low > high:
        damaged(f"“{key}” has its lower end above its upper end")
    return Interval(mean, low, high, whole(found, "queries"), whole(found, "classes"))


def _number(value: object, what: str, low: float, high: float) -> float:
    # bool is an int to Python, and JSON's NaN a float.
    if type(value) not in (int, float) or not isinstance(value, int | float) or not math.isfinite(value):
        damaged(f"{what} is not a number")
    if not low <= value <= high:
        damaged(f"{what} is {value}, outside {low} to {high}")
    return float(value)
