"""Judgements of results: keeping them, taking them back, and reading them as pairs to learn from."""

from dataclasses import dataclass
from pathlib import Path

from retrieval.catalog.judgements import Judgement
from retrieval.core.errors import NoSuchPath, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.types import Region
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.queries import Example, digest_of


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two images of the gallery of which somebody said whether they belong together.

    Attributes:
        query_id, image_id: of the two; never the same.
        relevant: whether they do.
        region: the part of the query that was meant; None for all of it.
    """

    query_id: int
    image_id: int
    relevant: bool
    region: Region | None


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """What judgements give to learn from.

    Attributes:
        pairs: in the order in which they were judged.
        elsewhere: judgements whose query or image is not in the gallery (an upload, say), and so cannot be learned
            from before it is.
    """

    pairs: tuple[JudgedPair, ...]
    elsewhere: int


def judge(folder: Path, judgement: Judgement, settings: Settings | None = None) -> int | None:
    """Keep a judgement; a newer one of the same pair takes the place of an older one.

    Returns:
        The operation's number, for ``undo``; None where the same stands already.

    Raises:
        GalleryBusy: another process is writing.
        EmptyGallery: there is no gallery.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        return _sealed(gallery, gallery.catalog.judgements.add(judgement))


def unjudge(folder: Path, judgement: Judgement, settings: Settings | None = None) -> int | None:
    """Take back what stands of a judgement's pair, whatever it says. Returns and raises as ``judge``."""
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        return _sealed(gallery, gallery.catalog.judgements.remove(judgement))


def judge_result(
    folder: Path,
    query: Example,
    image_id: int,
    relevant: bool | None,
    judge: str = "",
    settings: Settings | None = None,
) -> int | None:
    """Keep what somebody says of a result, or take back what was said.

    Args:
        folder: of the gallery.
        query: the one picture that was searched with.
        image_id: of the result.
        relevant: whether it is what was looked for; None takes back.
        judge: who says so, where that is known.
        settings: from the environment by default.

    Raises:
        NoSuchPath: an image is not in the gallery any more.
        GalleryBusy: another process is writing.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        image = _digest(gallery, image_id)
        said = Judgement(_content(gallery, query), image, bool(relevant), query.region, judge)
        judgements = gallery.catalog.judgements
        return _sealed(gallery, judgements.remove(said) if relevant is None else judgements.add(said))


def undo_judging(folder: Path, operation: int, settings: Settings | None = None) -> int | None:
    """Take back an operation of ``judge``, ``unjudge`` or this. Returns and raises as ``judge``; None also where it has
    no effect any more."""
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        return _sealed(gallery, gallery.catalog.judgements.undo(operation))


def judged_pairs(gallery: Gallery) -> JudgedPairs:
    """All judgements that stand, as pairs of images to train with."""
    standing = gallery.catalog.judgements.standing()
    digests = sorted({digest for one in standing for digest in (one.query, one.image)})
    ids = gallery.catalog.images.by_digests(digests)
    pairs = tuple(
        JudgedPair(ids[one.query], ids[one.image], one.relevant, one.region)
        for one in standing
        if one.query in ids and one.image in ids and one.query != one.image
    )
    return JudgedPairs(pairs, len(standing) - len(pairs))


def _content(gallery: Gallery, query: Example) -> bytes:
    if query.kept is not None:
        return bytes.fromhex(query.kept)
    return digest_of(query.data) if query.data is not None else _digest(gallery, query.image_id or 0)


def _digest(gallery: Gallery, image_id: int) -> bytes:
    record = gallery.catalog.images.records([image_id]).get(image_id)
    if record is None:
        raise NoSuchPath(f"The gallery has no image {image_id}.", "It was forgotten since: search again.")
    return bytes.fromhex(record.digest)


def _sealed(gallery: Gallery, operation: int | None) -> int | None:
    if operation is not None:
        gallery.catalog.seal()
    return operation
