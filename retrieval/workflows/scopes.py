"""What the user asked to index, as places below roots; and which roots can be reached."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.catalog import Catalog, KnownFile, Root, inside
from retrieval.core.errors import EmptyGallery, NoSuchPath
from retrieval.core.text import shown
from retrieval.workflows.words import count, verb

_SEPARATOR = os.fsencode(os.sep)
_NO_ID = 0
"""Of a root that the catalog does not have; its own begin at 1."""


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


def why_offline(root: Root, known_files: int) -> str:
    """Why the root cannot be reached; nothing where it can.

    An empty folder where files are known is an unmounted drive's mount point.
    """
    try:
        with os.scandir(root.path) as entries:
            return _EMPTY if known_files and not any(True for _ in entries) else ""
    except OSError as error:
        return (error.strerror or str(error)).lower()


_EMPTY = "the folder is there, but it is empty"


def look_at_roots(catalog: Catalog, *, remember: bool) -> list[Root]:
    """All roots with their present state; with ``remember`` the catalog learns what changed."""
    counts = catalog.roots.counts()
    roots = []
    for root in catalog.roots.all():
        online = not why_offline(root, expected_files(counts, root))
        if remember and online != root.online:
            catalog.roots.set_online(root.id, online)
        roots.append(Root(root.id, root.path, root.whole, online))
    return roots


def expected_files(counts: Mapping[int, Mapping[str, int]], root: Root) -> int:
    """How many files should lie in the root, by ``Roots.counts``."""
    states = counts.get(root.id, {})
    return states.get("present", 0) + states.get("failed", 0)


def files_offline(catalog: Catalog, roots: Sequence[Root]) -> int:
    """How many files are thought to lie in those of the roots that are offline."""
    counts = catalog.roots.counts()
    return sum(expected_files(counts, root) for root in roots if not root.online)


def scopes_for(
    catalog: Catalog,
    roots: Sequence[Root],
    paths: Sequence[Path],
    say: Callable[[str], None] = lambda _: None,
    *,
    record: bool = True,
) -> list[Scope]:
    """The scopes of an index run; what lies in a root that is offline is said and left out.

    Args:
        catalog: gets a root for each path that lies in none.
        roots: as ``look_at_roots`` has just found them.
        paths: folders and files; none means every root that was indexed as a folder.
        say: told about each offline root that should have been looked at.
        record: False leaves the catalog as it is: the scopes then have the roots that they would get.

    Raises:
        NoSuchPath: a path neither exists nor is a known root.
        EmptyGallery: no paths, and no folder is known.
    """
    wanted = [os.path.abspath(os.fsencode(path)) for path in paths] or [r.path for r in roots if r.whole]
    singles = [] if paths else [scope for root in roots for scope in _single_files(catalog, root)]
    if not wanted and not singles:
        raise EmptyGallery("Nothing was indexed into this gallery yet.", "Name a folder: `retrieval index FOLDER`.")
    offline = {path: root for path in wanted if (root := _offline_root(roots, path)) is not None}
    for path, root in offline.items():
        say(_offline_words(root, path, expected_files(catalog.roots.counts(), root)))
    reachable = [path for path in wanted if path not in offline]
    gone = [scope for path in reachable if (scope := _gone_file(catalog, roots, path)) is not None]
    there = [path for path in reachable if path not in {scope.path for scope in gone}]
    # All of them before the first is recorded: a typo leaves nothing behind.
    check_paths(there)
    # A path inside another one of the same run would be looked at twice.
    outermost = _outermost(there)
    return [_recorded(catalog, path) if record else _unrecorded(roots, path) for path in outermost] + gone + singles


def _offline_root(roots: Sequence[Root], path: bytes) -> Root | None:
    return next((root for root in roots if not root.online and inside(path, root.path)), None)


def _offline_words(root: Root, path: bytes, files: int) -> str:
    why = why_offline(root, files)
    start = f"{root.shown} is offline"
    if path != root.path:
        start = f"{shown(os.fsdecode(path))} was not looked at: it lies in {root.shown}, which is offline"
    forget = f"`retrieval roots --remove {shlex.quote(root.shown)}`"
    known = count(files, "file")
    if why == _EMPTY:
        return (
            f"{start}: {why}, where {known} {verb(files, 'was', 'were')} indexed. A drive that is not mounted looks "
            "like this, so nothing is forgotten, not even by `retrieval prune`. Mount it and index again; if you "
            f"emptied the folder yourself, {forget} forgets its files."
        )
    return (
        f"{start} ({why}). The {known} in it {verb(files, 'stays', 'stay')} in the gallery and can be found. Connect "
        f"the drive and index again; if the folder is gone for good, {forget} forgets it."
    )


def _single_files(catalog: Catalog, root: Root) -> Iterator[Scope]:
    """The files of a root of which only single files were indexed; one that is missing may have come back."""
    if root.whole or not root.online:
        return
    for _, relpath in catalog.files.ids_below(root.id, b"", missing=True):
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


def _unrecorded(roots: Sequence[Root], path: bytes) -> Scope:
    """The scope as ``_recorded`` would make it: see ``Roots.ensure``."""
    whole = os.path.isdir(path)
    folder = path if whole else os.path.dirname(path)
    root = _deepest(roots, folder)
    if root is None or (whole and not root.whole):
        root = Root(_NO_ID, folder, whole, True)
    return _scope(root, path, single=not whole)


def known_files(
    catalog: Catalog, roots: Sequence[Root], scope: Scope, relpaths: Sequence[bytes]
) -> dict[bytes, KnownFile]:
    """What the catalog knows of these paths below a scope's root, whichever root has them.

    For scopes that were not recorded: their files may be those of a root above or below.
    """
    asked: dict[int, dict[bytes, bytes]] = {}
    for relpath in relpaths:
        path = os.path.join(scope.root.path, relpath)
        root = _deepest(roots, path)
        if root is not None:
            asked.setdefault(root.id, {})[path[len(root.path.rstrip(_SEPARATOR)) + 1 :]] = relpath
    return {
        names[name]: file
        for root_id, names in asked.items()
        for name, file in catalog.files.known(root_id, list(names)).items()
    }


def _deepest(roots: Sequence[Root], path: bytes) -> Root | None:
    return max((root for root in roots if inside(path, root.path)), key=lambda root: len(root.path), default=None)


def _scope(root: Root, path: bytes, *, single: bool) -> Scope:
    folder = os.path.dirname(path) if single else path
    relative = os.path.relpath(folder, root.path)
    prefix = b"" if relative == b"." else relative + _SEPARATOR
    return Scope(root, path, prefix, single)


def _outermost(paths: Sequence[bytes]) -> list[bytes]:
    given = set(paths)
    return sorted(path for path in given if not any(above in given for above in _ancestors(path)))


def apart(scopes: Sequence[Scope]) -> list[Scope]:
    """The scopes without those of single files that lie in another one, or come twice: no file is in two of them."""
    folders = [scope.path for scope in scopes if not scope.single]
    once = {scope.path: scope for scope in scopes}.values()
    return [scope for scope in once if not (scope.single and any(inside(scope.path, folder) for folder in folders))]


def _ancestors(path: bytes) -> Iterator[bytes]:
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above
