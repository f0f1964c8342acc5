"""Switching between spaces: the history of switches, calibrations, runs, splits, judgements. Only adds.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("spaces_one_live", "spaces", ["live"], unique=True, sqlite_where=sa.text("live = 1"))
    op.create_table(
        "switches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False, comment="became live"),
        sa.Column("previous_id", sa.Integer(), nullable=True, comment="was live: where a rollback leads"),
        sa.Column("forced", sa.Text(), nullable=False, comment="JSON list: what the gate said against it"),
        sa.Column("undone_at", sa.DateTime(), nullable=True, comment="when it was rolled back"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["previous_id"], ["spaces.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "calibrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="JSON; the newest of a space counts"),
        sa.ForeignKeyConstraint(["space_id"], ["spaces.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("calibrations_by_space", "calibrations", ["space_id", "id"], unique=False)
    op.create_table(
        "splits",
        sa.Column("name", sa.Text(), nullable=False, comment="of what was split"),
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the content: it outlives the image's record"
        ),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("part IN ('train', 'val', 'test')", name="splits_part"),
        sa.PrimaryKeyConstraint("name", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("folder", sa.LargeBinary(), nullable=False, comment="absolute, as the system's bytes"),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the encoder it made"),
        sa.Column("data", sa.Text(), nullable=False, comment="fingerprint of what it learned from"),
        sa.Column("recipe", sa.Text(), nullable=False, comment="JSON, resolved"),
        sa.Column("metrics", sa.Text(), nullable=False, comment="JSON: before and after"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_fingerprint", "runs", ["fingerprint"], unique=False)
    op.create_table(
        "judgements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("query", sa.LargeBinary(), nullable=False, comment="SHA-256 of the query's content"),
        sa.Column("image", sa.LargeBinary(), nullable=False, comment="SHA-256 of the content that was judged"),
        sa.Column("relevant", sa.Boolean(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("undone_by", sa.Integer(), nullable=True, comment="the operation that took it back"),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"]),
        sa.ForeignKeyConstraint(["undone_by"], ["operations.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("judgements_by_query", "judgements", ["query"], unique=False)
