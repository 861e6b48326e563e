"""Run the migrations on the connection that the catalog hands over."""

from __future__ import annotations

from alembic import context

from indexer.catalog.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by making a new one
)
with context.begin_transaction():
    context.run_migrations()
