"""When each run was changed last, so that whoever watches the store reads only what is new."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # what was there before stays empty: nobody asks for changes of then
    op.add_column("runs", sa.Column("updated", sa.String(40), nullable=False, server_default=""))
    op.create_index("runs_by_updated", "runs", ["updated", "uid"])
