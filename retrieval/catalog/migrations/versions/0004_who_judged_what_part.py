"""Judgements say who made them, and of which part of the query.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("judgements", sa.Column("region", sa.Text))
    op.add_column("judgements", sa.Column("judge", sa.Text))
