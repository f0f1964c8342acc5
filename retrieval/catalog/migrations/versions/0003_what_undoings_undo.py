"""Which operation an undoing took back: a column of the undoing, where it was a value under a key ``undoing:N``.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In SQLite's own words: Alembic adds no column with a foreign key here without writing the whole table anew.
    op.execute("ALTER TABLE operations ADD COLUMN undoes INTEGER REFERENCES operations (id)")
    op.execute(
        "UPDATE operations SET undoes = (SELECT undone.id FROM meta JOIN operations AS undone"
        " ON undone.id = CAST(meta.value AS INTEGER) WHERE meta.key = 'undoing:' || operations.id)"
    )
    op.execute("DELETE FROM meta WHERE key GLOB 'undoing:*'")
