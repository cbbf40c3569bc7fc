"""Deleting many runs at once: which of them may go, looked at in the transaction that deletes them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.canonical import decode

CHUNK = 500
# what belongs to a run, by its uid
OF_RUN = ((t.run_labels, "uid"), (t.run_results, "uid"), (t.metrics, "uid"), (t.outbox, "uid"), (t.uses, "run"))


def going(c: sa.Connection, groups: Sequence[Sequence[str]], keep_tags: str, *, artifacts: bool) -> list[str]:
    """The runs of the groups that may go."""
    wanted = [uid for group in groups for uid in group]
    if c.dialect.name == "postgresql" and artifacts:
        # nobody takes an artifact into use between the look and the deletion; SQLite has one writer anyway
        c.execute(sa.text("LOCK TABLE artifact_tags, uses IN SHARE ROW EXCLUSIVE MODE"))
    blocked = _unfinished(c, wanted)
    if not artifacts:
        return [uid for group in groups if not blocked.intersection(group) for uid in group]
    made: dict[str, tuple[str, str]] = {}
    for part in _chunks(wanted):
        query = sa.select(t.artifacts.c.uid, t.artifacts.c.tree, t.artifacts.c.doc).where(t.artifacts.c.tree.in_(part))
        for row in c.execute(query.with_for_update()):
            made[row.uid] = (row.tree, decode(row.doc, Artifact).uri())
    if keep_tags != "none":
        tags = t.artifact_tags
        for part in _chunks(list(made)):
            query = sa.select(tags.c.uid).where(tags.c.uid.in_(part))
            if keep_tags == "named":
                query = query.where(tags.c.tag != "latest")
            blocked |= {made[uid][0] for uid in c.execute(query).scalars()}
    readers = _readers(c, {uri: tree for tree, uri in made.values()})
    remaining = [list(group) for group in groups]
    while True:
        uids = {uid for group in remaining for uid in group}
        # somebody outside reads what these made
        held = blocked | {tree for reader, tree in readers if reader not in uids}
        left = [group for group in remaining if not held.intersection(group)]
        if len(left) == len(remaining):
            return [uid for group in left for uid in group]
        remaining = left


def _unfinished(c: sa.Connection, uids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for part in _chunks(uids):
        query = sa.select(t.runs.c.uid, t.runs.c.state).where(t.runs.c.uid.in_(part))
        state = {row.uid: row.state for row in c.execute(query.with_for_update())}
        # one that is gone already, by another's hand, has nothing to be deleted but what it left
        found |= {uid for uid in part if state.get(uid, states.COMPLETED) not in states.TERMINAL}
    return found


def _readers(c: sa.Connection, tree_of: dict[str, str]) -> list[tuple[str, str]]:
    """Who reads what these made, as ``reader maker``."""
    found: list[tuple[str, str]] = []
    for part in _chunks(list(tree_of)):
        query = sa.select(t.uses.c.run, t.uses.c.uri).where(t.uses.c.uri.in_(part), t.uses.c.direction == "in")
        found += [(row.run, tree_of[row.uri]) for row in c.execute(query)]
    return found


def remove(c: sa.Connection, uids: Sequence[str], *, artifacts: bool) -> None:
    """Delete the rows of these runs, and of the artifacts that they made."""
    for part in _chunks(uids):
        if artifacts:
            made = sa.select(t.artifacts.c.uid).where(t.artifacts.c.tree.in_(part))
            for table in (t.artifact_labels, t.artifact_tags):
                c.execute(sa.delete(table).where(table.c.uid.in_(made)))
            c.execute(sa.delete(t.artifacts).where(t.artifacts.c.tree.in_(part)))
        for table, column in (*OF_RUN, (t.runs, "uid")):
            c.execute(sa.delete(table).where(table.c[column].in_(part)))


def _chunks(uids: Sequence[str]) -> list[Sequence[str]]:
    return [uids[start : start + CHUNK] for start in range(0, len(uids), CHUNK)]
