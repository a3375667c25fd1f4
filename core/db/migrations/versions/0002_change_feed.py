"""Numbers of changes, by which a client that was away finds what it missed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("users", "threads"):
        column = sa.Column("change_seq", sa.BigInteger(), server_default="0", nullable=False)
        op.add_column(table, column)
    op.create_index("ix_threads_owner_change", "threads", ["owner_id", "change_seq"], unique=False)
