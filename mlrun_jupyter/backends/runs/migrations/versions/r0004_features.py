"""Feature sets and vectors, with their tags and statuses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    key = [sa.Column("kind", sa.String(16), primary_key=True), sa.Column("project", sa.String(63), primary_key=True)]
    key.append(sa.Column("name", sa.String(63), primary_key=True))

    def names() -> list[sa.Column[str]]:
        return [column.copy() for column in key]

    op.create_table(
        "feature_objects", *names(), sa.Column("hash", sa.String(64), primary_key=True), sa.Column("created", sa.String(40), nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )  # fmt: skip
    op.create_index("feature_objects_by_created", "feature_objects", ["kind", "project", "created", "name", "hash"])
    op.create_table(
        "feature_tags", *names(), sa.Column("tag", sa.String(128), primary_key=True), sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("updated", sa.String(40), nullable=False),
    )  # fmt: skip
    op.create_table(
        "feature_status", *names(), sa.Column("revision", sa.Integer, nullable=False), sa.Column("updated", sa.String(40), nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )  # fmt: skip
    op.create_index("feature_status_by_updated", "feature_status", ["updated"])
