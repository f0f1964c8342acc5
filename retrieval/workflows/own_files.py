"""The program's own files are no pictures of the user's: a gallery's folder is never indexed.

Neither into itself nor into another gallery; one that a restore has moved aside is a gallery still.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from retrieval.catalog import inside
from retrieval.core.errors import BadValue
from retrieval.workflows.layout import CATALOG


def is_gallery(folder: bytes) -> bool:
    """Whether a catalog lies in the folder."""
    return os.path.lexists(os.path.join(folder, os.fsencode(CATALOG)))


def lies_in_gallery(path: bytes) -> bool:
    """Whether the absolute path is a gallery's folder, or below one."""
    while not is_gallery(path):
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above
    return True


def refuse_own_files(gallery: Path, paths: Iterable[Path]) -> None:
    """Before these paths are indexed.

    Args:
        gallery: the folder of the gallery to index into, which may not be there yet.
        paths: folders and files, which may not be there either.

    Raises:
        BadValue: one of them lies in this gallery or in another one.
    """
    own = os.path.realpath(os.fsencode(gallery))
    for path in paths:
        real = os.path.realpath(os.fsencode(path))
        if inside(real, own) or lies_in_gallery(real):
            raise BadValue("This is where the program keeps its own files.", "Choose a folder of pictures.")
