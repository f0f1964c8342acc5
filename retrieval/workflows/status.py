"""What a gallery holds, whether its parts agree, and repairing what can be repaired."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np

from retrieval import index as engines
from retrieval.core.errors import GalleryDamaged, RetrievalError
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace, Ids
from retrieval.models.folder import verify_folder
from retrieval.vectors import VectorStore
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.layout import CATALOG, PARTS
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.scopes import look_at_roots
from retrieval.workflows.words import count, verb


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """One embedding space.

    Attributes:
        fingerprint: of the encoder.
        model: its name.
        trained: False for an untrained encoder.
        dimension: D.
        vectors: stored, one an image content.
        findable: of these, in the index: a present file holds them.
        live: searches use this space.
    """

    fingerprint: str
    model: str
    trained: bool
    dimension: int
    vectors: int
    findable: int
    live: bool


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index of the live space.

    Attributes:
        kind: e.g. ``"faiss-flat"``.
        reason: why this kind.
        recall: measured recall@10 against exact search; 1 for an exact index.
        vectors: in the snapshot on disk.
        behind: changes that a process replays when it opens the snapshot.
    """

    kind: str
    reason: str
    recall: float
    vectors: int
    behind: int


@dataclass(frozen=True, slots=True)
class Status:
    """A gallery at one moment. ``problems`` is empty when catalog, vector store and index agree; ``bytes`` is what its
    parts take on the disk, by name, and their ``total``."""

    gallery: str
    images: int
    files: int
    failed: int
    missing: int
    offline_files: int
    offline_roots: list[str]
    spaces: list[SpaceStatus]
    index: IndexStatus | None
    bytes: dict[str, int]
    agree: bool
    problems: list[str]
    checked: bool
    repaired: list[str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def status(folder: Path, *, settings: Settings | None = None, check: bool = False, repair: bool = False) -> Status:
    """Look at a gallery.

    Args:
        folder: the gallery's.
        settings: from the environment by default.
        check: read and verify everything: the catalog's structure and seal, every vector's checksum, the index
            against the catalog, the weights of the encoders, those of training runs too.
        repair: mend what the data allow, in every space, holding the write lock; implies ``check``. Damaged vectors
            are given up, and their images embedded again by the next index in that space; an index is built again, that
            of a space that is not live as soon as it is; SQLite's own indexes too.

    Raises:
        EmptyGallery, GalleryTooNew, GalleryDamaged (not even the catalog can be opened), GalleryBusy (repair only).
    """
    with Gallery(folder, settings) as gallery, _damage_is_said(gallery):
        problems = list(_problems(gallery)) if check or repair else list(_disagreements(gallery))
        repaired: list[str] = []
        if repair and problems:
            with gallery.layout.writing():
                beyond_repair, repaired = _repair_catalog(gallery)
                # What a damaged catalog says is no ground to change anything, and writing would hide the damage.
                if not beyond_repair:
                    repaired += _repair(gallery)
                    gallery.catalog.seal()
                problems = list(dict.fromkeys([*beyond_repair, *_problems(gallery)]))
        return _status(gallery, problems, check or repair, repaired)


@contextmanager
def _damage_is_said(gallery: Gallery) -> Iterator[None]:
    """A value that no version of ours writes makes anything fail: then say that the catalog is damaged."""
    try:
        yield
    except RetrievalError:
        raise
    except Exception as error:
        found = gallery.catalog.check()
        if not found:
            raise
        raise GalleryDamaged(
            f"The catalog of {gallery.folder} is damaged ({found[0]}).",
            "Restore a backup with `retrieval restore FILE`.",
        ) from error


def _status(gallery: Gallery, problems: list[str], checked: bool, repaired: list[str]) -> Status:
    catalog = gallery.catalog
    roots = look_at_roots(catalog, remember=False)
    states = catalog.files.states([root.id for root in roots if not root.online])
    live = catalog.spaces.live()
    return Status(
        gallery=str(gallery.folder),
        images=catalog.images.count(),
        files=sum(states.values()),
        failed=states["failed"],
        missing=states["missing"],
        offline_files=states["offline"],
        offline_roots=[root.shown for root in roots if not root.online],
        spaces=[_space_status(gallery, space) for space in catalog.spaces.all()],
        index=None if live is None else _index_status(gallery, live),
        bytes=_sizes(gallery),
        agree=not problems,
        problems=problems,
        checked=checked,
        repaired=repaired,
    )


def _space_status(gallery: Gallery, space: EmbeddingSpace) -> SpaceStatus:
    try:
        trained = GalleryEncoder.card_of(gallery, space).trained
    except RetrievalError:
        trained = False
    vectors, findable = gallery.catalog.spaces.count(space.id)
    return SpaceStatus(space.fingerprint, space.model, trained, space.dimension, vectors, findable, space.live)


def _index_status(gallery: Gallery, space: EmbeddingSpace) -> IndexStatus | None:
    try:
        manifest = engines.read_manifest(gallery.layout.index(space), fingerprint=space.fingerprint)
    except (engines.SnapshotMissing, engines.SnapshotDamaged):
        return None
    behind = gallery.catalog.spaces.changes_since(space.id, manifest.last_change)
    # The reason was written when the index was built; while the kind is still right, it is told with today's size.
    today = engines.choose(manifest.count, space.dimension)
    return IndexStatus(
        kind=manifest.kind,
        reason=today.reason if today.kind == manifest.kind else manifest.reason,
        recall=1.0 if manifest.recall is None else manifest.recall,
        vectors=manifest.count,
        behind=len(behind.added) + len(behind.removed),
    )


def _sizes(gallery: Gallery) -> dict[str, int]:
    sizes = {name: _size_of((gallery.folder / part).rglob("*")) for name, part in PARTS.items()}
    beside = [path for path in gallery.folder.iterdir() if path.name not in PARTS.values()]
    # The shared memory of those who have the catalog open goes with them.
    catalog = {path for path in beside if path.name.startswith(CATALOG)}
    sizes["catalog"] = _size_of(path for path in catalog if not path.name.endswith("-shm"))
    others = [path for path in beside if path not in catalog]
    sizes["others"] = _size_of(others) + sum(_size_of(path.rglob("*")) for path in others)
    sizes["total"] = sum(sizes.values())
    return sizes


def _size_of(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        # Another process may be indexing: a snapshot goes when its successor has come.
        with suppress(OSError):
            status = path.stat()
            total += status.st_size if S_ISREG(status.st_mode) else 0
    return total


def _disagreements(gallery: Gallery) -> Iterable[str]:
    """What can be seen without reading everything: counts that do not fit."""
    for space in gallery.catalog.spaces.all():
        yield from (f"{line}{_where(space)}" for line in _space_disagrees(gallery, space))


def _where(space: EmbeddingSpace) -> str:
    """In which space a problem is; the live one needs no naming."""
    return "" if space.live else f" (in the space {_named(space)}, which is not live)"


def _named(space: EmbeddingSpace) -> str:
    return f"{space.fingerprint[:16]}, {space.model}"


def _space_disagrees(gallery: Gallery, space: EmbeddingSpace) -> Iterable[str]:
    store = gallery.store(space)
    if store.rows < space.rows:
        lost = space.rows - store.rows
        yield f"vectors: {lost:,} of {count(space.rows, 'row')} {verb(lost)} missing at the end of the files"
    try:
        GalleryEncoder.card_of(gallery, space)
    except RetrievalError as error:
        yield f"model: {error.message}"
    if space.live:
        yield from _index_disagrees(gallery, space)


def _index_disagrees(gallery: Gallery, space: EmbeddingSpace) -> Iterable[str]:
    _, findable = gallery.catalog.spaces.count(space.id)
    try:
        manifest = engines.read_manifest(gallery.layout.index(space), fingerprint=space.fingerprint)
    except engines.SnapshotMissing:
        # Nothing was lost: a crash before the first snapshot, or a gallery without images.
        return
    except engines.SnapshotDamaged as error:
        yield f"index: {error.reason}"
        return
    feed = gallery.catalog.spaces.changes_since(space.id, manifest.last_change)
    if manifest.last_change > feed.last:
        yield "index: it has seen changes that the catalog does not know (the catalog is older than the index)"
    elif not len(feed.added) and not len(feed.removed) and manifest.count != findable:
        yield f"index: it holds {count(manifest.count, 'vector')} where the catalog has {findable:,}"


def _problems(gallery: Gallery) -> Iterable[str]:
    """Everything, read whole."""
    found = gallery.catalog.check()
    yield from found
    if _damage_in(found):
        return
    for space in gallery.catalog.spaces.all():
        yield from (f"{line}{_where(space)}" for line in _space_problems(gallery, space))
    yield from _run_problems(gallery)


def _run_problems(gallery: Gallery) -> Iterable[str]:
    """Encoders that training runs have left in the gallery, and that it could be switched to."""
    for folder in sorted(gallery.layout.runs.glob("*")):
        encoder = RunFolder(folder).encoder
        if encoder.is_dir():
            try:
                verify_folder(encoder)
            except RetrievalError as error:
                yield f"run {folder.name}: {error.message} Train it again, or remove {folder}."


def _space_problems(gallery: Gallery, space: EmbeddingSpace) -> Iterable[str]:
    store = gallery.store(space)
    lost, damaged = _broken_vectors(gallery, space, store)
    if len(lost):
        yield f"vectors: {len(lost)} {verb(len(lost))} missing"
    if len(damaged):
        yield f"vectors: {len(damaged)} {verb(len(damaged))} damaged (the checksum differs)"
    try:
        card = verify_folder(gallery.layout.model(space.fingerprint))
        if card.fingerprint != space.fingerprint:
            yield "model: the folder holds another encoder"
    except RetrievalError as error:
        yield f"model: {error.message}"
    yield from _index_problems(gallery, space, store)


def _broken_vectors(gallery: Gallery, space: EmbeddingSpace, store: VectorStore) -> tuple[Ids, Ids]:
    ids, rows = gallery.catalog.spaces.embedded_rows(space.id)
    # Another process may have committed since the store was opened.
    store.refresh(next((now.rows for now in gallery.catalog.spaces.all() if now.id == space.id), space.rows))
    lost = ids[rows >= store.rows]
    misplaced = store.misplaced(ids[rows < store.rows], rows[rows < store.rows])
    rest = np.setdiff1d(ids, np.concatenate([lost, misplaced]))
    return lost, np.concatenate([misplaced, *store.damaged(rest)]).astype(np.int64)


def _index_problems(gallery: Gallery, space: EmbeddingSpace, store: VectorStore) -> Iterable[str]:
    try:
        index, manifest = engines.load(
            gallery.layout.index(space), store, fingerprint=space.fingerprint, dimension=space.dimension
        )
    except engines.SnapshotMissing:
        return
    except engines.SnapshotDamaged as error:
        yield f"index: {error.reason}"
        return
    except RetrievalError as error:
        yield f"index: {error.message}"
        return
    findable, at = gallery.catalog.spaces.findable(space.id)
    feed = gallery.catalog.spaces.changes_since(space.id, manifest.last_change)
    while feed.last != at.last:
        # Another process committed between the two looks.
        findable, at = gallery.catalog.spaces.findable(space.id)
        feed = gallery.catalog.spaces.changes_since(space.id, manifest.last_change)
    expected = np.union1d(np.setdiff1d(index.ids(), feed.removed), feed.added)
    if not np.array_equal(expected, findable):
        differing = len(np.setxor1d(expected, findable))
        yield f"index: {count(differing, 'id')} {verb(differing, 'differs', 'differ')} from the catalog's"


def _repair_catalog(gallery: Gallery) -> tuple[list[str], list[str]]:
    """(what cannot be mended, what was): SQLite's own indexes can be built again, a changed record cannot."""
    found = gallery.catalog.check()
    damage = _damage_in(found)
    if not damage:
        return [], ["catalog: its checksum was written again" for _ in found]
    # A row that SQLite misses in an index may be a row that was changed: only the seal tells.
    if gallery.catalog.only_indexes_are_damaged():
        with suppress(GalleryDamaged):
            gallery.catalog.reindex()
            damage = _damage_in(gallery.catalog.check())
            if not damage:
                return [], ["catalog: SQLite's own indexes were built again"]
    return [*damage, "catalog: this cannot be mended; put a backup in its place with `retrieval restore FILE`"], []


def _damage_in(found: list[str]) -> list[str]:
    """What ``Catalog.check`` says of the catalog itself, not of the seal beside it."""
    return [line for line in found if ".seal" not in line]


def _repair(gallery: Gallery) -> Iterable[str]:
    for space in gallery.catalog.spaces.all():
        given_up = _give_up_vectors(gallery, space)
        if given_up:
            yield f"vectors: {given_up} given up{_where(space)}; {_made_anew(space)}"
        # A snapshot may read a vector that was just given up, so that it could not even be opened.
        if given_up or list(_index_problems(gallery, space, gallery.store(space))):
            yield from _mend_index(gallery, space)


def _give_up_vectors(gallery: Gallery, space: EmbeddingSpace) -> int:
    """Forget the vectors that cannot be read; how many there were."""
    spaces, store = gallery.catalog.spaces, gallery.store(space)
    lost, damaged = _broken_vectors(gallery, space, store)
    if store.rows < space.rows:
        spaces.set_rows(space.id, store.rows)
    broken = np.concatenate([lost, damaged]).tolist()
    return spaces.drop_vectors(space.id, broken) if broken else 0


def _made_anew(space: EmbeddingSpace) -> str:
    if space.live:
        return "`retrieval index` makes them anew"
    short = space.fingerprint[:16]
    return f"`retrieval switch {short}` makes them anew, or `retrieval index` after a rollback to it"


def _mend_index(gallery: Gallery, space: EmbeddingSpace) -> Iterable[str]:
    """Throw the index away, and build that of the live space again."""
    folder = gallery.layout.index(space)
    had_one = folder.exists()
    engines.discard(folder)
    # As it is now: it may have fewer rows than before.
    live = gallery.catalog.spaces.live()
    if live is not None and live.id == space.id:
        LiveIndex(gallery, live).publish()
        yield "index: built again from the stored vectors"
    elif had_one:
        yield f"index: thrown away{_where(space)}; it is built again from the stored vectors when the space is live"
