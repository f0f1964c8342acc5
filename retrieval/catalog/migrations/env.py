"""Alembic runs on the connection and in the transaction that ``database.migrate`` opened."""

from alembic import context

from retrieval.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
# No begin_transaction() here: the caller's transaction holds all of it, or none.
context.run_migrations()
