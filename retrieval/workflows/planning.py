"""The plan of an index run: which files must be read, which are as they were, which are no images.

Made by names, sizes and times alone; only files that are new to the catalog are opened, for their first bytes. The
list of what must be read goes to a temporary file, so that memory stays bounded whatever the folder's size.
"""

import os
import random
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import IO, Any

from retrieval.catalog import Catalog, KnownFile, Root, inside
from retrieval.core.text import shown
from retrieval.images.scan import ScannedFile, classify, scan
from retrieval.workflows.own_files import is_gallery, lies_in_gallery
from retrieval.workflows.scopes import Scope, known_files

_CHUNK = 900
_SAMPLE = 16
_HEAD = struct.Struct("<qII")
"""Of a spooled entry: root, length of the relative path, length of the path."""


@dataclass(frozen=True, slots=True)
class Todo:
    """A file that must be read."""

    root_id: int
    relpath: bytes
    path: bytes


@dataclass(slots=True)
class Plan:
    """What a scan found.

    Attributes:
        found: files that are images, or claim to be.
        to_read: of these, how many are new or changed.
        bytes_to_read: their size together.
        unchanged: known, and as they were.
        failed: known failures that are as they were; they are not read again.
        skipped: files that are no images.
        sample: a few of the files to read, spread evenly, for an estimate.
        unlisted: folders that could not be listed; nothing in them is taken for missing.
        galleries: folders that hold this program's own files; what was indexed from them before is taken for missing.
    """

    found: int = 0
    to_read: int = 0
    bytes_to_read: int = 0
    unchanged: int = 0
    failed: int = 0
    skipped: int = 0
    sample: list[Todo] = field(default_factory=list)
    unlisted: list[bytes] = field(default_factory=list)
    galleries: list[bytes] = field(default_factory=list)


class Spool:
    """A list of ``Todo`` on disk: appended to, then read once from the start."""

    def __init__(self) -> None:
        self._file: IO[Any] = tempfile.TemporaryFile(prefix="retrieval-")  # noqa: SIM115

    def append(self, todo: Todo) -> None:
        """Add one."""
        self._file.write(_HEAD.pack(todo.root_id, len(todo.relpath), len(todo.path)) + todo.relpath + todo.path)

    def __iter__(self) -> Iterator[Todo]:
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            root_id, relpath, path = _HEAD.unpack(head)
            yield Todo(root_id, self._file.read(relpath), self._file.read(path))

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class Seen:
    """A set of file ids, one bit each: ten million files take a megabyte and a quarter."""

    def __init__(self, largest: int) -> None:
        self._bits = bytearray(largest // 8 + 1)

    def add(self, file_id: int) -> None:
        """Remember an id; one that is larger than the largest known needs no remembering."""
        if file_id // 8 < len(self._bits):
            self._bits[file_id // 8] |= 1 << (file_id % 8)

    def __contains__(self, file_id: int) -> bool:
        return file_id // 8 < len(self._bits) and bool(self._bits[file_id // 8] >> (file_id % 8) & 1)


class Planner:
    """Scans scopes and compares them with the catalog.

    Args:
        catalog: what is known.
        spool: receives what must be read.
        say: told about folders that cannot be listed, and about other galleries.
        stop: asked now and then; True ends the scan early.
        dry: the roots of the catalog, for a dry run, which changes nothing: its scopes were not recorded. None for a
            run that does what it plans.

    Attributes:
        plan: what was found so far.
        seen: ids of the files that are there.
        back: so many of those that are as they were had been missing.
    """

    def __init__(
        self,
        catalog: Catalog,
        spool: Spool,
        say: Callable[[str], None],
        *,
        stop: Callable[[], bool],
        dry: Sequence[Root] | None = None,
    ) -> None:
        self._catalog = catalog
        self._spool = spool
        self._say = say
        self._own = os.path.realpath(os.fsencode(catalog.path.parent))
        self._dry = dry
        self._stop = stop
        self._random = random.Random(0)
        self.plan = Plan()
        self.back = 0
        self.seen = Seen(catalog.files.largest_id())

    def scan(self, scope: Scope) -> None:
        """Add a scope to the plan. A single file that is gone has nothing to scan; it will be marked missing."""
        if scope.single and not os.path.lexists(scope.path):
            return
        if lies_in_gallery(scope.path):
            # It became one, or it was indexed by a version that did not know better.
            self._leave_out(scope.path)
            return
        entries = scan(scope.path, on_error=self._cannot_list, skips=self._leaves_out)
        while chunk := list(islice(entries, _CHUNK)):
            if self._stop():
                return
            self._compare(scope, chunk)

    def _cannot_list(self, path: bytes, error: OSError) -> None:
        self._say(f"Cannot list {shown(os.fsdecode(path))}: {error.strerror}; what is known of it stays as it is.")
        self.plan.unlisted.append(path)

    def is_gone(self, scope: Scope, file_id: int, relpath: bytes) -> bool:
        """Whether a file that is known in a scope is not there any more, by what was seen and by another look."""
        path = os.path.join(scope.root.path, relpath)
        if file_id in self.seen or _lies_in(path, self.plan.unlisted):
            return False
        # New files of this very run have ids that were not seen: look before concluding.
        return _lies_in(path, self.plan.galleries) or not os.path.lexists(path)

    def _leaves_out(self, folder: bytes) -> bool:
        # Also where there are folders without end and no file in any of them.
        if self._stop():
            return True
        if not is_gallery(folder):
            return False
        self._leave_out(folder)
        return True

    def _leave_out(self, folder: bytes) -> None:
        if os.path.realpath(folder) != self._own:
            self._say(f"{shown(os.fsdecode(folder))} is left out: it holds a gallery's own files.")
        self.plan.galleries.append(folder)

    def _compare(self, scope: Scope, chunk: list[ScannedFile]) -> None:
        relpaths = [scope.prefix + entry.relpath for entry in chunk]
        known = self._known(scope, relpaths)
        back = []
        for entry, relpath in zip(chunk, relpaths, strict=True):
            if self._stop():
                break
            before = known.get(relpath)
            if before is not None:
                self.seen.add(before.id)
            # A failure that was missing has no image to come back with: it is read again, and fails again.
            forgotten = before is not None and before.state == "missing" and before.image_id is None
            if before is None or forgotten or (before.size, before.mtime_ns) != (entry.size, entry.mtime_ns):
                self._must_read(scope, entry, relpath, before)
                continue
            self.plan.found += 1
            if before.state == "failed":
                self.plan.failed += 1
                continue
            self.plan.unchanged += 1
            if before.state == "missing":
                back.append(before.id)
        self.back += len(back)
        if back and self._dry is None:
            self._catalog.ingest.restore_present(back)

    def _known(self, scope: Scope, relpaths: Sequence[bytes]) -> dict[bytes, KnownFile]:
        if self._dry is None:
            return self._catalog.files.known(scope.root.id, relpaths)
        return known_files(self._catalog, self._dry, scope, relpaths)

    def _must_read(self, scope: Scope, entry: ScannedFile, relpath: bytes, before: KnownFile | None) -> None:
        path = os.path.join(scope.root.path, relpath)
        if before is None and classify(path, os.path.basename(relpath)) != "image":
            self.plan.skipped += 1
            return
        todo = Todo(scope.root.id, relpath, path)
        self.plan.found += 1
        self.plan.to_read += 1
        self.plan.bytes_to_read += entry.size
        self._spool.append(todo)
        self._sample(todo)

    def _sample(self, todo: Todo) -> None:
        """Keep a uniform sample of a stream (reservoir sampling)."""
        if len(self.plan.sample) < _SAMPLE:
            self.plan.sample.append(todo)
            return
        at = self._random.randrange(self.plan.to_read)
        if at < _SAMPLE:
            self.plan.sample[at] = todo


def _lies_in(path: bytes, folders: Sequence[bytes]) -> bool:
    return any(inside(path, folder) for folder in folders)
