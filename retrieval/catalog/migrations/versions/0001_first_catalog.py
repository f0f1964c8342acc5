"""The first catalog: roots, images, files, labels, spaces, changes.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the content: the identity"),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False, comment="after EXIF orientation"),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("captured", sa.DateTime(), nullable=True),
        sa.Column("phash", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="what made the events, e.g. index"),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "roots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False, comment="absolute, as the system's bytes"),
        sa.Column("whole", sa.Boolean(), nullable=False, comment="indexed as a folder, not only single files in it"),
        sa.Column("online", sa.Boolean(), nullable=False, comment="could be reached when last looked at"),
        sa.Column("looked_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "spaces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False, comment="committed rows of the vector store"),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("probes", sa.LargeBinary(), nullable=False, comment="float32 embeddings of synthetic pictures"),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "changes",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("added", sa.Boolean(), nullable=False, comment="into the index; else out of it"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("changes_by_space", "changes", ["space_id", "seq"], unique=False)
    op.create_table(
        "embedded",
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("region", sa.Integer(), nullable=False, comment="0: the whole image"),
        sa.Column("row", sa.Integer(), nullable=False, comment="in the space's vector store"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="some present file holds the image: it can be found"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"]),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("space_id", "image_id", "region"),
        sqlite_with_rowid=False,
    )
    op.create_index("embedded_by_image", "embedded", ["image_id"], unique=False)
    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("relpath", sa.LargeBinary(), nullable=False, comment="below the root, as the system's bytes"),
        sa.Column("image_id", sa.Integer(), nullable=True, comment="none for a failed file"),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("mtime_ns", sa.Integer(), nullable=False, comment="-1: read it again next time"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('present', 'missing', 'failed')", name="files_state"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"]),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("root_id", "relpath"),
        sqlite_autoincrement=True,
    )
    op.create_index("files_by_image", "files", ["image_id"], unique=False)
    op.create_index("files_not_present", "files", ["state"], unique=False, sqlite_where=sa.text("state <> 'present'"))
    op.create_table(
        "labels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="folder, csv, person or automatic"),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("undone_by", sa.Integer(), nullable=True, comment="the operation that took it back"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"]),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"]),
        sa.ForeignKeyConstraint(["undone_by"], ["operations.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("labels_by_image", "labels", ["image_id"], unique=False)
    op.create_index(
        "labels_by_label", "labels", ["label", "image_id"], unique=False, sqlite_where=sa.text("undone_by IS NULL")
    )
