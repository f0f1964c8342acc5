"""What the user asked to index, as places below roots; and which roots can be reached."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.catalog import Catalog, Root, inside
from retrieval.core.errors import EmptyGallery, NoSuchPath
from retrieval.core.text import shown


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a root that a run looks at.

    Attributes:
        root: what the files belong to.
        path: the folder or file to scan, absolute.
        prefix: what stands before the scanned names in relative paths: empty, or a folder with its separator.
        single: ``path`` is one file.
    """

    root: Root
    path: bytes
    prefix: bytes
    single: bool

    @property
    def below(self) -> bytes:
        """Relative path that limits the file records of this scope; see ``Files.ids_below``."""
        return self.prefix + os.path.basename(self.path) if self.single else self.prefix


def is_online(root: Root, known_files: int) -> bool:
    """Whether the root can be reached. An empty folder where files are known is an unmounted drive's mount point."""
    try:
        with os.scandir(root.path) as entries:
            return known_files == 0 or any(True for _ in entries)
    except OSError:
        return False


def look_at_roots(catalog: Catalog, *, remember: bool) -> list[Root]:
    """All roots with their present state; with ``remember`` the catalog learns what changed."""
    counts = catalog.roots.counts()
    roots = []
    for root in catalog.roots.all():
        states = counts.get(root.id, {})
        online = is_online(root, states.get("present", 0) + states.get("failed", 0))
        if remember and online != root.online:
            catalog.roots.set_online(root.id, online)
        roots.append(Root(root.id, root.path, root.whole, online))
    return roots


def scopes_for(catalog: Catalog, paths: Sequence[Path]) -> list[Scope]:
    """The scopes of an index run; what lies in a root that is offline is left out.

    Args:
        catalog: gets a root for each path that lies in none.
        paths: folders and files; none means every root that was indexed as a folder.

    Raises:
        NoSuchPath: a path neither exists nor is a known root.
        EmptyGallery: no paths, and no folder is known.
    """
    roots = look_at_roots(catalog, remember=True)
    wanted = [os.path.abspath(os.fsencode(path)) for path in paths] or [r.path for r in roots if r.whole]
    singles = [] if paths else [scope for root in roots for scope in _single_files(catalog, root)]
    if not wanted and not singles:
        raise EmptyGallery("Nothing was indexed into this gallery yet.", "Name a folder: `retrieval index FOLDER`.")
    offline = [root.path for root in roots if not root.online]
    reachable = [path for path in wanted if not any(inside(path, root) for root in offline)]
    gone = [scope for path in reachable if (scope := _gone_file(catalog, roots, path)) is not None]
    there = [path for path in reachable if path not in {scope.path for scope in gone}]
    # All of them before the first is recorded: a typo leaves nothing behind.
    check_paths(there)
    # A path inside another one of the same run would be looked at twice.
    return [_recorded(catalog, path) for path in _outermost(there)] + gone + singles


def _single_files(catalog: Catalog, root: Root) -> Iterator[Scope]:
    """The files of a root of which only single files were indexed."""
    if root.whole or not root.online:
        return
    for _, relpath in catalog.files.ids_below(root.id, b""):
        yield _scope(root, os.path.join(root.path, relpath), single=True)


def _gone_file(catalog: Catalog, roots: Sequence[Root], path: bytes) -> Scope | None:
    """The scope of a file that is known and is not there any more."""
    if os.path.lexists(path):
        return None
    for root in roots:
        if inside(path, root.path) and catalog.files.known(root.id, [os.path.relpath(path, root.path)]):
            return _scope(root, path, single=True)
    return None


def check_paths(paths: Iterable[bytes]) -> None:
    """Raises NoSuchPath unless every path is a folder or a file."""
    for path in paths:
        if os.path.isdir(path) or os.path.isfile(path):
            continue
        if os.path.lexists(path):
            raise NoSuchPath(
                f"{shown(os.fsdecode(path))} is neither a folder nor a file that can be read.",
                "Name a folder of images, or image files.",
            )
        raise NoSuchPath(
            f"There is no file or folder {shown(os.fsdecode(path))}.",
            "Check the spelling; for a folder that was moved, index its new place: nothing is embedded again.",
        )


def _recorded(catalog: Catalog, path: bytes) -> Scope:
    if os.path.isdir(path):
        return _scope(catalog.roots.ensure(path, whole=True), path, single=False)
    return _scope(catalog.roots.ensure(os.path.dirname(path), whole=False), path, single=True)


def _scope(root: Root, path: bytes, *, single: bool) -> Scope:
    folder = os.path.dirname(path) if single else path
    relative = os.path.relpath(folder, root.path)
    prefix = b"" if relative == b"." else relative + os.fsencode(os.sep)
    return Scope(root, path, prefix, single)


def _outermost(paths: Sequence[bytes]) -> list[bytes]:
    given = set(paths)
    return sorted(path for path in given if not any(above in given for above in _ancestors(path)))


def _ancestors(path: bytes) -> Iterator[bytes]:
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above
