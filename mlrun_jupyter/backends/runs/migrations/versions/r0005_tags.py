"""When a tag of an artifact was moved last, and from which one, so that whoever watches the store hears of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # what was there before stays empty: nobody asks for changes of then
    op.add_column("artifact_tags", sa.Column("moved", sa.String(40), nullable=False, server_default=""))
    op.add_column("artifact_tags", sa.Column("before", sa.String(64), nullable=False, server_default=""))
    op.create_index("artifact_tags_by_moved", "artifact_tags", ["moved"])
