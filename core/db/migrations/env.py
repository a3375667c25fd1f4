"""Alembic's entry: runs the revisions on the connection of `core.db.migrate`, or writes their SQL."""

from alembic import context

from core.db.models import Base

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(
        dialect_name=attributes["dialect"], output_buffer=attributes["output"], literal_binds=True
    )
else:
    context.configure(
        connection=attributes["connection"],
        target_metadata=Base.metadata,
        transactional_ddl=True,
        render_as_batch=True,
    )
with context.begin_transaction():
    context.run_migrations()
