"""What the catalog knows of images, as searches need it."""

from retrieval.core.errors import NoSuchPath
from retrieval.core.types import EmbeddingSpace, Filters, Ids, ImageRecord
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.results import Neighbour


def record_of(gallery: Gallery, image_id: int) -> ImageRecord:
    """What is known of an image. Raises NoSuchPath for an unknown id."""
    record = gallery.catalog.images.records([image_id]).get(image_id)
    if record is None:
        raise no_such_image(image_id)
    return record


def is_present(record: ImageRecord) -> bool:
    """Whether a file of it was there when its root was last looked at; only such images are found."""
    return any(file.state == "present" for file in record.files)


def allowed_ids(gallery: Gallery, space: EmbeddingSpace, filters: Filters | None) -> Ids | None:
    """The images of a space that filters let through; None where they restrict nothing."""
    if filters is None or not filters.restricts:
        return None
    return gallery.catalog.images.passing(space.id, filters)


def neighbour_of(rank: int, score: float, probability: float | None, record: ImageRecord) -> Neighbour:
    """A result from its record."""
    return Neighbour(
        rank=rank,
        id=record.id,
        score=score,
        probability=probability,
        labels=record.labels,
        paths=record.paths,
        width=record.width,
        height=record.height,
        format=record.format,
        bytes=record.bytes,
        captured=record.captured,
        offline=all(file.offline or file.state != "present" for file in record.files),
    )


def above(row: tuple[Neighbour, ...], filters: Filters | None) -> tuple[Neighbour, ...]:
    """Those with the score that filters ask for."""
    if filters is None or filters.min_score is None:
        return row
    return tuple(one for one in row if one.score >= filters.min_score)


def no_such_image(image_id: int) -> NoSuchPath:
    """The error for an id that no image has."""
    return NoSuchPath(f"The gallery has no image {image_id}.", "Ids stand in the results of a search.")
