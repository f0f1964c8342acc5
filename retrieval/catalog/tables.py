"""The catalog's tables, as the newest migration leaves them (a test compares the two).

``AUTOINCREMENT`` everywhere: SQLite gives the numbers of deleted rows away again, and an id that once meant
another image would make an old index lie.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False, comment="JSON"),
)

roots = Table(
    "roots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", LargeBinary, nullable=False, unique=True, comment="absolute, as the system's bytes"),
    Column("whole", Boolean, nullable=False, comment="indexed as a folder, not only single files in it"),
    Column("online", Boolean, nullable=False, comment="could be reached when last looked at"),
    Column("looked_at", DateTime, nullable=False),
    sqlite_autoincrement=True,
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the content: the identity"),
    Column("bytes", Integer, nullable=False),
    Column("width", Integer, nullable=False, comment="after EXIF orientation"),
    Column("height", Integer, nullable=False),
    Column("format", Text, nullable=False),
    Column("captured", DateTime),
    Column("phash", Integer, nullable=False),
    Column("added_at", DateTime, nullable=False),
    sqlite_autoincrement=True,
)

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", ForeignKey("roots.id", ondelete="CASCADE"), nullable=False),
    Column("relpath", LargeBinary, nullable=False, comment="below the root, as the system's bytes"),
    Column("image_id", ForeignKey("images.id"), comment="none for a failed file"),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False, comment="-1: read it again next time"),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("hint", Text),
    UniqueConstraint("root_id", "relpath"),
    CheckConstraint("state IN ('present', 'missing', 'failed')", name="files_state"),
    Index("files_by_image", "image_id"),
    Index("files_not_present", "state", sqlite_where=text("state <> 'present'")),
    sqlite_autoincrement=True,
)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False, comment="what made the events, e.g. index"),
    Column("at", DateTime, nullable=False),
    Column("undoes", ForeignKey("operations.id"), comment="of an undoing: the operation that it took back"),
    sqlite_autoincrement=True,
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("source", Text, nullable=False, comment="folder, csv, person or automatic"),
    Column("confidence", Float),
    Column("operation_id", ForeignKey("operations.id"), nullable=False),
    Column("undone_by", ForeignKey("operations.id"), comment="the operation that took it back"),
    # Not only of those that stand: deleting an image asks for all that refer to it.
    Index("labels_by_image", "image_id"),
    Index("labels_by_label", "label", "image_id", sqlite_where=text("undone_by IS NULL")),
    sqlite_autoincrement=True,
)

spaces = Table(
    "spaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("model", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("rows", Integer, nullable=False, comment="committed rows of the vector store"),
    Column("live", Boolean, nullable=False),
    Column("probes", LargeBinary, nullable=False, comment="float32 embeddings of synthetic pictures"),
    Column("created_at", DateTime, nullable=False),
    Index("spaces_one_live", "live", unique=True, sqlite_where=text("live = 1")),
    sqlite_autoincrement=True,
)

switches = Table(
    "switches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),
    Column("space_id", ForeignKey("spaces.id", ondelete="CASCADE"), nullable=False, comment="became live"),
    Column("previous_id", ForeignKey("spaces.id", ondelete="SET NULL"), comment="was live: where a rollback leads"),
    Column("forced", Text, nullable=False, comment="JSON list: what the gate said against it"),
    Column("undone_at", DateTime, comment="when it was rolled back"),
    sqlite_autoincrement=True,
)

embedded = Table(
    "embedded",
    metadata,
    Column("space_id", ForeignKey("spaces.id", ondelete="CASCADE"), primary_key=True),
    Column("image_id", ForeignKey("images.id"), primary_key=True),
    Column("region", Integer, primary_key=True, default=0, comment="0: the whole image"),
    Column("row", Integer, nullable=False, comment="in the space's vector store"),
    Column("active", Boolean, nullable=False, comment="some present file holds the image: it can be found"),
    Index("embedded_by_image", "image_id"),
    sqlite_with_rowid=False,
)

changes = Table(
    "changes",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("space_id", ForeignKey("spaces.id", ondelete="CASCADE"), nullable=False),
    Column("image_id", Integer, nullable=False),
    Column("added", Boolean, nullable=False, comment="into the index; else out of it"),
    Index("changes_by_space", "space_id", "seq"),
    sqlite_autoincrement=True,
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("space_id", ForeignKey("spaces.id", ondelete="CASCADE"), nullable=False),
    Column("at", DateTime, nullable=False),
    Column("content", Text, nullable=False, comment="JSON; the newest of a space counts"),
    Index("calibrations_by_space", "space_id", "id"),
    sqlite_autoincrement=True,
)

splits = Table(
    "splits",
    metadata,
    Column("name", Text, primary_key=True, comment="of what was split"),
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the content: it outlives the image's record"),
    Column("part", Text, nullable=False),
    Column("at", DateTime, nullable=False),
    CheckConstraint("part IN ('train', 'val', 'test')", name="splits_part"),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),
    Column("folder", LargeBinary, nullable=False, comment="absolute, as the system's bytes"),
    Column("fingerprint", Text, nullable=False, comment="of the encoder it made"),
    Column("data", Text, nullable=False, comment="fingerprint of what it learned from"),
    Column("recipe", Text, nullable=False, comment="JSON, resolved"),
    Column("metrics", Text, nullable=False, comment="JSON: before and after"),
    Index("runs_by_fingerprint", "fingerprint"),
    sqlite_autoincrement=True,
)

judgements = Table(
    "judgements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("query", LargeBinary, nullable=False, comment="SHA-256 of the query's content"),
    Column("image", LargeBinary, nullable=False, comment="SHA-256 of the content that was judged"),
    Column("relevant", Boolean, nullable=False),
    Column("operation_id", ForeignKey("operations.id"), nullable=False),
    Column("undone_by", ForeignKey("operations.id"), comment="the operation that took it back"),
    Column("region", Text, comment="JSON list: left, top, right, bottom of the part of the query; none: all of it"),
    Column("judge", Text, comment="who said so, where that is known"),
    Index("judgements_by_query", "query"),
    sqlite_autoincrement=True,
)
