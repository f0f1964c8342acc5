"""Any report as values that JSON has."""

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """The same in dictionaries, lists, numbers and text; what JSON has no number for is None.

    Undecodable names keep their lone surrogates: they are written as escapes.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)
