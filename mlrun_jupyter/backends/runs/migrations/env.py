"""Alembic's entry: it runs the revisions on the connection that :mod:`mlrun_jupyter.backends.runs.migrate` hands over."""

from __future__ import annotations

from alembic import context

from mlrun_jupyter.backends.runs.schema import metadata

# the transaction is that of the caller, who commits it or gives it up
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
