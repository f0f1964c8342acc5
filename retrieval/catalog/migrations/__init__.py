"""Alembic's scripts; they travel in the package."""
