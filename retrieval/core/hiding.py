"""Text without the places of files, for readers who may not know where they lie."""

import os
import re
from collections.abc import Mapping
from typing import Any

# Absolute, of any system, and homes; at the beginning or after a sign or a space, so that "its/their" is none.
_ABSOLUTE = r"(?:[\\/]|~[\w.-]*[\\/]|[A-Za-z]:[\\/]|file:)"
_PATH = re.compile(rf"(?:(?<=^)|(?<=[\s\"'`(=:,\[<])){_ABSOLUTE}")
_ALONE = re.compile(_ABSOLUTE)


def without_paths(text: str) -> str:
    """A sentence up to the first path in it: where a path ends, nothing tells, since names may have spaces in them.

    Returns:
        ``"Nothing is indexed in …"`` for ``"Nothing is indexed in /home/anna/my pictures yet."``.
    """
    found = _PATH.search(text)
    return text if found is None else f"{text[: found.start()].rstrip(' `')} …".lstrip()


def file_name(path: str) -> str:
    """The last part of a path of any system."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def hide_paths(value: Any) -> Any:
    """JSON values in which no path is left: of what is a path the last part stays, of a sentence what is before it."""
    if isinstance(value, str):
        if _ALONE.match(value) or os.path.isabs(value):
            return file_name(value)
        return without_paths(value)
    if isinstance(value, Mapping):
        return {hide_paths(key): hide_paths(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hide_paths(one) for one in value]
    return value
