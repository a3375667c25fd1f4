"""The search index: entries by owner, their trigrams, and what is still to be indexed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_UNINDEXED = sa.text("entry_id IS NULL")
_LONG = sa.text("is_long")
_LIVE = sa.text("is_live")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("threads", "messages"):
        op.add_column(table, sa.Column("entry_id", sa.BigInteger(), nullable=True))
        name = f"ix_{table}_unindexed"
        op.create_index(name, table, ["id"], sqlite_where=_UNINDEXED, postgresql_where=_UNINDEXED)
    _create_tables()
    if op.get_context().dialect.name == "sqlite":
        # Contentless, and without places: which entries have a trigram is all that is asked.
        op.execute(
            "CREATE VIRTUAL TABLE search_trigrams USING fts5("
            "text, content='', detail='none', columnsize=0, tokenize='trigram case_sensitive 1')"
        )
    else:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute("CREATE TABLE search_trigrams (rowid bigint PRIMARY KEY, text text NOT NULL)")
        op.execute("CREATE INDEX ix_search_trigrams ON search_trigrams USING gin (text gin_trgm_ops)")


def _create_tables() -> None:
    op.create_table(
        "search_owners",
        sa.Column("number", _SERIAL, primary_key=True),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("owner_id", name="uq_search_owners_owner_id"),
    )
    op.create_table(
        "search_entries",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("thread_id", sa.Uuid(), sa.ForeignKey("threads.id"), nullable=False),
        sa.Column("message_id", sa.Uuid(), sa.ForeignKey("messages.id"), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sender_type", sa.String(16), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("is_long", sa.Boolean(), nullable=False),
        sa.Column("embedded_in", sa.Integer(), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
    )
    op.create_index("ix_search_entries_thread_id", "search_entries", ["thread_id"])
    op.create_index("ix_search_entries_to_embed", "search_entries", ["embedded_in", "created_at"])
    op.create_index(
        "ix_search_entries_long", "search_entries", ["id"], sqlite_where=_LONG, postgresql_where=_LONG
    )
    op.create_table(
        "search_discarded",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
    )
    op.create_table(
        "search_collections",
        sa.Column("number", _SERIAL, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("name", name="uq_search_collections_name"),
    )
    op.create_index(
        "uq_search_collections_live",
        "search_collections",
        ["is_live"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
