"""The index on disk: a derived file that is either whole or thrown away.

::

    folder/
      CURRENT                 name of the live snapshot, and the SHA-256 of its manifest
      snapshot-12/
        manifest.json         what it is, and the SHA-256 of every other file and of itself
        engine.json, ...      what the engine saved

A snapshot is written under a temporary name, synced and renamed; then ``CURRENT`` is replaced. A kill at any point
leaves the old one or the new one live. One process publishes at a time (the gallery's write lock sees to it).
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from retrieval.core.errors import RetrievalError, disk_full_is_said
from retrieval.core.files import sync_folder, write_atomically
from retrieval.core.protocols import VectorIndex, VectorSource
from retrieval.core.types import Ids
from retrieval.index.blocks import blocks
from retrieval.index.exact import EXACT, ExactIndex
from retrieval.index.faiss_engine import FaissIndex
from retrieval.index.parameters import FLAT, KINDS

FORMAT = 1
"""Raised whenever an older program could not read what this one writes."""

CURRENT = "CURRENT"
MANIFEST = "manifest.json"

_LIVE = re.compile(rb"(snapshot-[0-9]{1,18}) ([0-9a-f]{64})\n")
_NAME = re.compile(r"snapshot-([0-9]{1,18})")
_OURS = re.compile(r"snapshot-[0-9]{1,18}|\.snapshot-[0-9]{1,18}\.tmp|\.CURRENT\..*\.tmp")


class SnapshotMissing(RetrievalError):
    """No index has been published yet. Build it from the vector store."""


class SnapshotDamaged(RetrievalError):
    """The published index cannot be used. Build it anew from the vector store, never from images.

    Args:
        reason: one line, what is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"The saved index cannot be used: {reason}", "It is rebuilt from the stored vectors.")
        self.reason = reason

    def __reduce__(self) -> tuple[type["SnapshotDamaged"], tuple[str]]:
        return (type(self), (self.reason,))


@runtime_checkable
class KnowsItsIds(Protocol):
    """A vector source that can tell what it lacks without reading vectors."""

    def missing(self, ids: Ids) -> Ids:
        """Those of [n] ``ids`` that it has no vector for."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says about itself.

    Attributes:
        format: ``FORMAT`` of the program that wrote it.
        fingerprint: of the embedding space.
        dimension: D.
        count: how many ids.
        kind: of the index.
        last_change: number of the catalog's last change that the index has seen; later ones are to be replayed.
        parameters: of the engine; empty for the exact one.
        recall: recall@10 measured when the index was built, None where it is exact.
        reason: why this kind.
        files: size and SHA-256 of each file.
    """

    format: int
    fingerprint: str
    dimension: int
    count: int
    kind: str
    last_change: int
    parameters: dict[str, Any]
    recall: float | None
    reason: str
    files: dict[str, dict[str, Any]]

    def to_bytes(self) -> bytes:
        """The one way to write it, with its own checksum."""
        fields = asdict(self)
        return _written({**fields, "checksum": _checksum(fields)})

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Read what ``to_bytes`` wrote. Raises SnapshotDamaged for anything else."""
        try:
            fields = json.loads(content)
        except ValueError:
            raise SnapshotDamaged("its manifest is not JSON.") from None
        if not isinstance(fields, dict) or not isinstance(fields.get("format"), int):
            raise SnapshotDamaged("its manifest is not one of ours.")
        if fields["format"] > FORMAT:
            raise SnapshotDamaged(f"it has format {fields['format']}, but this version reads up to {FORMAT}.")
        checksum = fields.pop("checksum", None)
        # Comparing the bytes as well finds a flip that JSON forgives, such as one in white space.
        if checksum != _checksum(fields) or _written({**fields, "checksum": checksum}) != content:
            raise SnapshotDamaged("the checksum of its manifest is wrong.")
        try:
            return cls(**fields)
        except TypeError:
            raise SnapshotDamaged("its manifest lacks an entry or has one too many.") from None


def publish(index: VectorIndex, folder: Path, *, fingerprint: str, last_change: int) -> Manifest:
    """Write ``index`` as the live snapshot in ``folder``; older ones and a killed process's leftovers are removed.

    Args:
        index: not changed meanwhile.
        folder: made if it does not exist; holds nothing but snapshots.
        fingerprint: of the embedding space.
        last_change: number of the last change in the catalog that ``index`` has seen.

    Raises:
        DiskFull: no space is left; the old snapshot stays live.
        OSError: a file could not be written; the old snapshot stays live.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clean(folder, keep=_live_name(folder))
    name = f"snapshot-{1 + max(_numbers(folder), default=0)}"
    temporary = folder / f".{name}.tmp"
    try:
        with disk_full_is_said("the index"):
            index.save(temporary)
            manifest = _manifest(index, temporary, fingerprint, last_change)
            content = manifest.to_bytes()
            (temporary / MANIFEST).write_bytes(content)
            _sync(temporary)
            os.replace(temporary, folder / name)
            sync_folder(folder)
            digest = hashlib.sha256(content).hexdigest()
            write_atomically(folder / CURRENT, f"{name} {digest}\n".encode())
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _clean(folder, keep=name)
    return manifest


def load(folder: Path, source: VectorSource, *, fingerprint: str, dimension: int) -> tuple[VectorIndex, Manifest]:
    """The live snapshot of ``folder``, verified byte for byte before any of it is interpreted.

    Args:
        folder: where ``publish`` wrote.
        source: the exact vectors. One that offers ``missing(ids)`` (``KnowsItsIds``) is asked for the ids it lacks;
            of another all vectors are read once, which takes long for large galleries.
        fingerprint: of the embedding space that is wanted.
        dimension: D of that space.

    Raises:
        SnapshotMissing: nothing has been published.
        SnapshotDamaged: a file is missing, changed or cut short; the space is another; the format is newer; an id is
            unknown to the source. Build anew from the vector store.
    """
    live = _read_current(folder)
    try:
        return _load_live(folder, live, source, fingerprint, dimension)
    except SnapshotDamaged:
        # A publisher may have replaced it while it was being read: then, and only then, there is another to read.
        again = _read_current(folder)
        if again == live:
            raise
    return _load_live(folder, again, source, fingerprint, dimension)


def _load_live(
    folder: Path, live: tuple[str, str], source: VectorSource, fingerprint: str, dimension: int
) -> tuple[VectorIndex, Manifest]:
    inside = folder / live[0]
    try:
        content = (inside / MANIFEST).read_bytes()
        if hashlib.sha256(content).hexdigest() != live[1]:
            # Read it all the same: a newer format is said as such.
            Manifest.from_bytes(content)
            raise SnapshotDamaged("its manifest is not the one that was published.")
        manifest = Manifest.from_bytes(content)
        _check_space(manifest, source, fingerprint, dimension)
        _check_files(inside, manifest)
        index = _load_engine(inside, manifest, source)
    except OSError as error:
        raise SnapshotDamaged(f"a file cannot be read ({error.strerror or error}).") from error
    return index, manifest


def _check_space(manifest: Manifest, source: VectorSource, fingerprint: str, dimension: int) -> None:
    if manifest.fingerprint != fingerprint:
        raise SnapshotDamaged("it belongs to another embedding space.")
    if manifest.dimension != dimension or source.dimension != dimension:
        raise SnapshotDamaged(f"it has {manifest.dimension} dimensions, not {dimension}.")


def _check_files(inside: Path, manifest: Manifest) -> None:
    for name, expected in manifest.files.items():
        if _facts(inside / name) != expected:
            raise SnapshotDamaged(f"{name} has changed since it was written.")


def _load_engine(inside: Path, manifest: Manifest, source: VectorSource) -> VectorIndex:
    index: VectorIndex
    try:
        if manifest.kind == EXACT:
            index = ExactIndex.load(inside)
        elif manifest.kind in KINDS:
            index = FaissIndex.load(inside, source)
        else:
            raise SnapshotDamaged(f"its kind {manifest.kind!r} is unknown to this version.")
        # The flat kind has just read all its vectors.
        unknown = manifest.kind != FLAT and not _all_known(index.ids(), source)
    except KeyError:
        unknown = True
    except (ValueError, RuntimeError, MemoryError) as error:
        raise SnapshotDamaged(f"the engine cannot read it ({error}).") from error
    if unknown:
        raise SnapshotDamaged("it holds an image that the vector store does not.")
    if index.kind != manifest.kind or len(index) != manifest.count or index.dimension != manifest.dimension:
        raise SnapshotDamaged("its files are not what its manifest says.")
    return index


def _all_known(ids: Ids, source: VectorSource) -> bool:
    if isinstance(source, KnowsItsIds):
        return len(source.missing(ids)) == 0
    for _ in blocks(ids, source):
        pass
    return True


def _manifest(index: VectorIndex, inside: Path, fingerprint: str, last_change: int) -> Manifest:
    parameters = index.parameters if isinstance(index, FaissIndex) else None
    return Manifest(
        format=FORMAT,
        fingerprint=fingerprint,
        dimension=index.dimension,
        count=len(index),
        kind=index.kind,
        last_change=last_change,
        parameters=parameters.to_json() if parameters else {},
        recall=parameters.recall if parameters else None,
        reason=parameters.reason if parameters else "",
        files={path.name: _facts(path) for path in sorted(inside.iterdir())},
    )


def _facts(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def _written(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(_written(fields)).hexdigest()


def _sync(inside: Path) -> None:
    for path in inside.iterdir():
        # Windows syncs only files that are open for writing.
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    sync_folder(inside)


def _read_current(folder: Path) -> tuple[str, str]:
    """(name, digest of the manifest) of the live snapshot. Raises SnapshotMissing or SnapshotDamaged."""
    try:
        content = (folder / CURRENT).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SnapshotMissing("No index has been saved yet.", "It is built from the stored vectors.") from None
    except OSError as error:
        raise SnapshotDamaged(f"{CURRENT} cannot be read ({error.strerror or error}).") from error
    match = _LIVE.fullmatch(content)
    if match is None:
        raise SnapshotDamaged(f"{CURRENT} names no snapshot.")
    return match[1].decode(), match[2].decode()


def _live_name(folder: Path) -> str | None:
    try:
        return _read_current(folder)[0]
    except RetrievalError:
        return None


def _numbers(folder: Path) -> list[int]:
    return [int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]


def _clean(folder: Path, keep: str | None) -> None:
    """Remove other snapshots and what a killed process left; what cannot be removed now is left for next time."""
    for path in folder.iterdir():
        if path.name == keep or not _OURS.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def read_manifest(folder: Path, *, fingerprint: str) -> Manifest:
    """What the live snapshot says of itself; its other files are not looked at.

    Raises:
        SnapshotMissing: nothing has been published.
        SnapshotDamaged: the manifest is not the published one, or belongs to another space.
    """
    name, digest = _read_current(folder)
    try:
        content = (folder / name / MANIFEST).read_bytes()
    except OSError as error:
        raise SnapshotDamaged(f"a file cannot be read ({error.strerror or error}).") from error
    manifest = Manifest.from_bytes(content)
    if hashlib.sha256(content).hexdigest() != digest:
        raise SnapshotDamaged("its manifest is not the one that was published.")
    if manifest.fingerprint != fingerprint:
        raise SnapshotDamaged("it belongs to another embedding space.")
    return manifest


def discard(folder: Path) -> None:
    """Remove every snapshot: whoever opens the space next builds the index from the vector store."""
    shutil.rmtree(folder, ignore_errors=True)
