"""Alembic's entry: runs the revisions on the connection that `core.db.migrate` hands over."""

from alembic import context

from core.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
