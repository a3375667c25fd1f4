"""What a collection's texts were prefixed with, which entries it has; and how far new trigrams have come."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null, also in rows that the previous release adds: taken for what the settings say at the next start.
    for name in ("query_prefix", "passage_prefix"):
        op.add_column("search_collections", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "search_entries", sa.Column("embedded_from", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_table(
        "search_text_rebuild",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
    )
