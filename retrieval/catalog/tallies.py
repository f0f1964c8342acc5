"""How far a gallery is labelled, counted by the database: nothing here grows with it but the table of labels."""

from dataclasses import dataclass

from sqlalchemy import func, select

from retrieval.catalog.membership import AUTOMATIC, PERSON
from retrieval.catalog.session import Session
from retrieval.catalog.tables import embedded, labels


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over the findable images of a space.

    Attributes:
        images: all of them.
        labelled: those that a person, a table or a folder has labelled.
        automatic: those that carry an automatic label and no other.
        labels: (label, images that somebody gave it), most frequent first.
    """

    images: int
    labelled: int
    automatic: int
    labels: tuple[tuple[str, int], ...]


class Tallies:
    """What of a catalog is labelled."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def tally(self, space_id: int) -> Tally:
        """The counts of a space, as of one moment."""
        there = select(embedded.c.image_id).where(embedded.c.space_id == space_id, embedded.c.active.is_(True))
        standing = labels.c.undone_by.is_(None)
        trusted = standing & (labels.c.source != AUTOMATIC)
        images = func.count(func.distinct(labels.c.image_id))
        somebody = select(labels.c.image_id).where(trusted)
        alone = select(images).where(
            standing,
            labels.c.source == AUTOMATIC,
            labels.c.image_id.in_(there),
            labels.c.image_id.not_in(somebody),
        )
        each = (
            select(labels.c.label, images.label("n"))
            .where(trusted, labels.c.image_id.in_(there))
            .group_by(labels.c.label)
            .order_by(images.desc(), labels.c.label)
        )
        with self._session.read() as connection:
            return Tally(
                images=int(connection.execute(select(func.count()).select_from(there.subquery())).scalar_one()),
                labelled=int(
                    connection.execute(select(images).where(trusted, labels.c.image_id.in_(there))).scalar_one()
                ),
                automatic=int(connection.execute(alone).scalar_one()),
                labels=tuple((row.label, int(row.n)) for row in connection.execute(each)),
            )

    def recent(self, most: int) -> tuple[str, ...]:
        """The labels that people gave last, newest first."""
        query = (
            select(labels.c.label)
            .where(labels.c.undone_by.is_(None), labels.c.source == PERSON)
            .group_by(labels.c.label)
            .order_by(func.max(labels.c.id).desc())
            .limit(most)
        )
        with self._session.read() as connection:
            return tuple(connection.execute(query).scalars())

    def named(self, operation_id: int, most: int) -> tuple[tuple[str, ...], int, int]:
        """What an operation was about.

        Returns:
            (up to ``most`` of the labels that it gave or took away, in alphabetical order; how many there are in
            all; of how many images).
        """
        touched = (labels.c.operation_id == operation_id) | (labels.c.undone_by == operation_id)
        # What it gave says more than what had to go for it.
        given = labels.c.operation_id == operation_id
        with self._session.read() as connection:
            gave = connection.execute(select(func.count()).where(given)).scalar_one() > 0
            which = given if gave else touched
            names = select(labels.c.label).where(which).distinct().order_by(labels.c.label)
            some = tuple(connection.execute(names.limit(most)).scalars())
            count = connection.execute(select(func.count(func.distinct(labels.c.label))).where(which)).scalar_one()
            images = connection.execute(select(func.count(func.distinct(labels.c.image_id))).where(which)).scalar_one()
        return some, int(count), int(images)
