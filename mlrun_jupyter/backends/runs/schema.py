"""Tables of the SQL store. Documents are JSON text in ``doc``; the other columns are what is filtered and sorted by.

Listings walk an index whose first columns are equal to what is asked for and whose last are the order, so that a page costs
what it shows. ``runs_listing`` and ``artifacts_listing`` hold every short column: whatever is asked for besides, a listing
reads no document that it does not show. A change here needs a revision in ``migrations/versions``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, text

REVISION = "0005"
# labels' values may be of any length; an index holds so much of them
MARK = 200

metadata = MetaData()

projects = Table(
    "projects", metadata,
    Column("name", String(63), primary_key=True),
    Column("created", String(40), nullable=False),
    Column("doc", Text, nullable=False),
)  # fmt: skip

functions = Table(
    "functions", metadata,
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("created", String(40), nullable=False),
    Column("doc", Text, nullable=False),
    Index("functions_by_created", "project", "created", "hash"),
    Index("functions_by_name", "project", "name", "created", "hash"),
)  # fmt: skip

function_tags = Table(
    "function_tags", metadata,
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("tag", String(128), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("updated", String(40), nullable=False),
)  # fmt: skip

runs = Table(
    "runs", metadata,
    Column("uid", String(32), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("name", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("function", String(200), nullable=False),
    Column("parent", String(32), nullable=False),
    Column("created", String(40), nullable=False),
    Column("heartbeat", String(40), nullable=False, server_default=""),
    Column("abort_requested", Integer, nullable=False, server_default="0"),
    Column("doc", Text, nullable=False),
    Column("cache_key", String(64), nullable=False, server_default=""),
    # ``<project>/<name>``, without the hash
    Column("function_name", String(128), nullable=False, server_default=""),
    Column("started", String(40), nullable=False, server_default=""),
    # seconds; NULL while it goes on
    Column("duration", Float),
    # bytes of its folder when it ended
    Column("size", BigInteger, nullable=False, server_default="0"),
    # of the document; empty in rows of before revision 0003
    Column("updated", String(40), nullable=False, server_default=""),
    Index("runs_by_updated", "updated", "uid"),
    Index("runs_by_project", "project", "parent", "uid"),
    Index("runs_by_state", "state", "uid"),
    Index("runs_by_project_state", "project", "state", "uid"),
    Index("runs_by_name", "project", "name", "uid"),
    Index("runs_by_function", "project", "function", "uid"),
    Index("runs_by_parent", "parent", "uid"),
    Index("runs_by_function_name", "project", "function_name", "uid"),
    Index("runs_by_created", "project", "created", "uid"),
    Index("runs_by_started", "project", "started", "uid"),
    Index("runs_by_duration", "project", "duration", "uid"),
    Index("runs_by_size", "project", "size", "uid"),
    Index(
        "runs_by_cache_key", "project", "cache_key", "uid",
        sqlite_where=text("cache_key <> ''"), postgresql_where=text("cache_key <> ''"),
    ),
    Index("runs_listing", "project", "uid", "parent", "state", "name", "function_name", "created"),
)  # fmt: skip

run_labels = Table(
    "run_labels", metadata,
    Column("uid", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    Column("project", String(63), nullable=False, server_default=""),
    # the beginning of the value
    Column("mark", String(MARK), nullable=False, server_default=""),
    Index("run_labels_by_key", "key", "uid"),
    Index("run_labels_by_value", "project", "key", "mark", "uid"),
)  # fmt: skip

# results that are numbers, for orders by one of them
run_results = Table(
    "run_results", metadata,
    Column("uid", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("value", Float, nullable=False),
    Index("run_results_by_value", "project", "key", "value", "uid"),
)  # fmt: skip

metrics = Table(
    "metrics", metadata,
    Column("uid", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("time", String(40), primary_key=True),
    # NaN and infinities are texts here, since SQLite turns NaN into NULL
    Column("value", Float),
    Column("special", String(8), nullable=False, server_default=""),
)  # fmt: skip

artifacts = Table(
    "artifacts", metadata,
    Column("uid", String(64), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("db_key", String(255), nullable=False),
    Column("iteration", Integer, nullable=False),
    Column("tree", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("created", String(40), nullable=False),
    Column("doc", Text, nullable=False),
    # each ends with the uid, so that it answers alone: SQLite would rather take a longer one that does
    Index("artifacts_by_db_key", "project", "db_key", "created", "uid"),
    Index("artifacts_by_maker", "project", "tree", "created", "uid"),
    Index("artifacts_by_kind_created", "project", "kind", "created", "uid"),
    Index("artifacts_by_tree", "tree", "created"),
    Index("artifacts_by_created", "created", "uid"),
    Index("artifacts_listing", "project", "created", "uid", "db_key", "kind", "tree"),
)  # fmt: skip

artifact_tags = Table(
    "artifact_tags", metadata,
    Column("project", String(63), primary_key=True),
    Column("db_key", String(255), primary_key=True),
    Column("iteration", Integer, primary_key=True),
    Column("tag", String(128), primary_key=True),
    Column("uid", String(64), nullable=False, index=True),
    # of the artifact
    Column("created", String(40), nullable=False, server_default=""),
    # when it came to this artifact, and from which one
    Column("moved", String(40), nullable=False, server_default=""),
    Column("before", String(64), nullable=False, server_default=""),
    Index("artifact_tags_by_tag", "project", "tag", "created", "uid"),
    Index("artifact_tags_by_moved", "moved"),
)  # fmt: skip

artifact_labels = Table(
    "artifact_labels", metadata,
    Column("uid", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    Column("mark", String(MARK), nullable=False),
    Column("project", String(63), nullable=False),
    Column("created", String(40), nullable=False),
    Index("artifact_labels_by_value", "project", "key", "mark", "created", "uid"),
)  # fmt: skip

uses = Table(
    "uses", metadata,
    Column("run", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("uri", Text, primary_key=True),
    Column("direction", String(3), primary_key=True),
    Index("uses_by_uri", "uri"),
)  # fmt: skip

outbox = Table(
    "outbox", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("created", String(40), nullable=False),
    Column("due", String(40), nullable=False, index=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    # numbers are never used twice: a late "done" must not strike off another message
    sqlite_autoincrement=True,
)  # fmt: skip

# feature sets and vectors: their versions, tags, and what became of them
feature_objects = Table(
    "feature_objects", metadata,
    Column("kind", String(16), primary_key=True),
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("created", String(40), nullable=False),
    Column("doc", Text, nullable=False),
    Index("feature_objects_by_created", "kind", "project", "created", "name", "hash"),
)  # fmt: skip

feature_tags = Table(
    "feature_tags", metadata,
    Column("kind", String(16), primary_key=True),
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("tag", String(128), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("updated", String(40), nullable=False),
)  # fmt: skip

feature_status = Table(
    "feature_status", metadata,
    Column("kind", String(16), primary_key=True),
    Column("project", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("updated", String(40), nullable=False),
    Column("doc", Text, nullable=False),
    Index("feature_status_by_updated", "updated"),
)  # fmt: skip

alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
