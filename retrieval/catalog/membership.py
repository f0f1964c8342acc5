"""What an image's files say about it: whether it can be found, and its labels from folder names.

Both are recomputed for exactly the images whose files a transaction touched, inside that transaction.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from retrieval.catalog.session import chunks, now
from retrieval.catalog.tables import changes, embedded, files, images, labels, operations
from retrieval.core.text import shown

PERSON = "person"
AUTOMATIC = "automatic"
"""The source of labels that nobody has confirmed."""

TAUGHT = frozenset({"set", "unset", "import", "folders", "automatic", "carry", "undo"})
"""Kinds of operations by which people teach labels; the others follow from files."""


def start_operation(connection: Connection, kind: str, *, undoes: int | None = None) -> int:
    """A new operation, that events can name as their origin; ``undoes`` is the one that an undoing takes back."""
    query = insert(operations).values(kind=kind, at=now(), undoes=undoes).returning(operations.c.id)
    return int(connection.execute(query).scalar_one())


def refresh(connection: Connection, image_ids: Iterable[int], operation_id: int | None) -> None:
    """Bring findability and folder labels of these images in line with their files.

    Args:
        connection: in a write transaction.
        image_ids: whose files changed.
        operation_id: origin of new label events; None leaves the labels alone.
    """
    wanted = sorted(set(image_ids))
    for some in chunks(wanted):
        _refresh_active(connection, some)
        if operation_id is not None:
            _refresh_folder_labels(connection, some, operation_id)


def _refresh_active(connection: Connection, image_ids: Sequence[int]) -> None:
    present = exists().where(files.c.image_id == embedded.c.image_id, files.c.state == "present")
    query = select(embedded.c.space_id, embedded.c.image_id, present.label("found")).where(
        embedded.c.image_id.in_(image_ids), embedded.c.active != present
    )
    flips = [(row.space_id, row.image_id, bool(row.found)) for row in connection.execute(query)]
    if not flips:
        return
    one = update(embedded).where(embedded.c.space_id == bindparam("s"), embedded.c.image_id == bindparam("i"))
    connection.execute(one.values(active=bindparam("found")), [{"s": s, "i": i, "found": f} for s, i, f in flips])
    connection.execute(insert(changes), [{"space_id": s, "image_id": i, "added": f} for s, i, f in flips])


def folder_label(relpath: bytes) -> str | None:
    """The name of the folder that holds the file, below the root; None for a file right in the root."""
    folder = os.path.basename(os.path.dirname(relpath))
    return shown(os.fsdecode(folder)) if folder else None


def _refresh_folder_labels(connection: Connection, image_ids: Sequence[int], operation_id: int) -> None:
    expected: dict[int, set[str]] = {}
    rows = select(files.c.image_id, files.c.relpath).where(files.c.image_id.in_(image_ids))
    for image_id, relpath in connection.execute(rows):
        label = folder_label(bytes(relpath))
        expected.setdefault(image_id, set()).update([] if label is None else [label])
    active: dict[int, dict[str, int]] = defaultdict(dict)
    events = select(labels.c.id, labels.c.image_id, labels.c.label).where(
        labels.c.image_id.in_(image_ids), labels.c.source == "folder", labels.c.undone_by.is_(None)
    )
    for event_id, image_id, label in connection.execute(events):
        active[image_id][label] = event_id
    refused = _taken_back_by_people(connection, image_ids)
    fresh = [
        {"image_id": i, "label": label, "source": "folder", "operation_id": operation_id}
        for i in image_ids
        for label in sorted(expected.get(i, set()) - set(active[i]))
        if (i, label) not in refused
    ]
    # An image without any file keeps its labels: they are what was known of it, should it come back.
    stale = [event for i in expected for label, event in active[i].items() if label not in expected[i]]
    if fresh:
        connection.execute(insert(labels), fresh)
    for some in chunks(stale):
        connection.execute(update(labels).where(labels.c.id.in_(some)).values(undone_by=operation_id))


def _taken_back_by_people(connection: Connection, image_ids: Sequence[int]) -> set[tuple[int, str]]:
    """(image, label) whose newest event from a folder name a person took back: the folder does not say it again."""
    query = (
        select(labels.c.image_id, labels.c.label, operations.c.kind)
        .join_from(labels, operations, labels.c.undone_by == operations.c.id, isouter=True)
        .where(labels.c.image_id.in_(image_ids), labels.c.source == "folder")
        .order_by(labels.c.id)
    )
    newest = {(image_id, label): kind for image_id, label, kind in connection.execute(query)}
    return {key for key, kind in newest.items() if kind in TAUGHT}


def forget_images_without_files(connection: Connection, image_ids: Iterable[int]) -> None:
    """Take images that no file holds any more out of all spaces; drop their records unless a person labelled them."""
    for some in chunks(sorted(set(image_ids))):
        held = set(connection.execute(select(files.c.image_id).where(files.c.image_id.in_(some))).scalars())
        bare = [i for i in some if i not in held]
        if not bare:
            continue
        gone = list(
            connection.execute(
                select(embedded.c.space_id, embedded.c.image_id).where(
                    embedded.c.image_id.in_(bare), embedded.c.active.is_(True)
                )
            )
        )
        if gone:
            connection.execute(insert(changes), [{"space_id": s, "image_id": i, "added": False} for s, i in gone])
        connection.execute(delete(embedded).where(embedded.c.image_id.in_(bare)))
        taught = set(
            connection.execute(
                select(labels.c.image_id).where(labels.c.image_id.in_(bare), labels.c.source.in_(("person", "csv")))
            ).scalars()
        )
        dropped = [i for i in bare if i not in taught]
        connection.execute(delete(labels).where(labels.c.image_id.in_(dropped)))
        connection.execute(delete(images).where(images.c.id.in_(dropped)))
