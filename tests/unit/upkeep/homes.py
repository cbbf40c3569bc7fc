"""A home folder with runs, artifacts and functions as real ones leave them, made without running anything."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.artifacts import blobs
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Code, CodeCell, Function
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.processes import lease_of
from mlrun_jupyter.session import Session


def day(ago: float) -> str:
    from datetime import timedelta

    return clock.iso(clock.now() - timedelta(days=ago))


def add_run(session: Session, *, ago: float = 0.0, size: int = 1000, project: str = "lab", state: str = "completed", **given: Any) -> Run:
    """A run with its folder; its uid is as old as it is."""
    uid = given.pop("uid", "")
    if not uid:
        base = clock.new_uid()
        moment = int(clock.parse(day(ago)).timestamp() * 1000)
        uid = f"{moment:012x}{base[12:]}"
    folder = f"runs/{project}/{uid}"
    if state == "running":
        given = {"lease": lease_of(os.getpid()), **given}
    run = msgspec.structs.replace(
        Run(
            uid=uid, project=project, name="train", state=state, function=f"{project}/train@{'a' * 40}", created=day(ago), updated=day(ago),
            folder=folder, size=size, artifact_path=f"artifacts/{project}/{uid}",
        ),
        **given,
    )  # fmt: skip
    (session.home / folder).mkdir(parents=True)
    (session.home / folder / "journal.jsonl").write_bytes(b"j" * size)
    (session.home / folder / "order.json").write_text("{}")
    (session.home / "artifacts" / project / uid).mkdir(parents=True)
    session.store.create_run(run)
    session.store.put_metrics(uid, [Metric("loss", 1.0, step) for step in range(3)])
    session.store.outbox_put("run", uid)
    return run


def add_artifact(session: Session, run: Run, key: str = "model", *, tags: tuple[str, ...] = (), size: int = 500, db_key: str = "", **given: Any) -> Artifact:
    """An artifact of the run, with its content."""
    path = f"artifacts/{run.project}/{run.uid}/{key}.bin"
    data = hashlib.sha256(f"{run.uid}{key}".encode()).digest() * (size // 32 + 1)
    (session.home / path).write_bytes(data[:size])
    made = Artifact(
        key=key, db_key=db_key or f"{run.name}_{key}", project=run.project, tree=run.uid, path=path, size=size,
        digest=hashlib.sha256(data[:size]).hexdigest(), created=run.created, **given,
    )  # fmt: skip
    session.store.put_artifact(made, tags)
    session.store.put_use(run.uid, key, made.uri(), "out")
    session.store.update_run(run.uid, lambda old: msgspec.structs.replace(old, artifact_uris={**old.artifact_uris, key: made.uri()}))
    return made


def add_reader(session: Session, artifact: Artifact, **given: Any) -> Run:
    """A run that reads the artifact."""
    run = add_run(session, inputs={"data": artifact.uri()}, **given)
    session.store.put_use(run.uid, "data", artifact.uri(), "in")
    return run


def add_function(session: Session, text: str) -> Function:
    """A function with a bundled file."""
    digest = blobs.put(session.home, text.encode())
    made = Function(name="train", project="lab", code=Code(cells=(CodeCell(f"import helper  # {text}"),)), files={"helper.py": digest})
    session.store.put_function(made)
    return made


def broken(session: Session) -> list[str]:
    """Recorded artifacts whose content cannot be read, and bundled files that are missing; there must be none."""
    wrong = []
    for artifact, _ in session.store.list_artifacts(""):
        path = session.home / artifact.path
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != artifact.digest:
            wrong.append(artifact.path)
    for function, _ in session.store.list_functions(""):
        for digest in function.files.values():
            blobs.get(session.home, digest)
    for run in session.store.list_runs("", parent=None, limit=1000):
        if not (session.home / run.folder / "journal.jsonl").is_file():
            wrong.append(run.folder)
    return wrong


def on_disk(home: Path) -> set[str]:
    """Run folders, contents and bundled files, and whatever lies in the trash."""
    found = set()
    for root in ("runs", "artifacts", "blobs", ".trash"):
        found |= {path.relative_to(home).as_posix() for path in (home / root).rglob("*") if path.is_file()}
    return found
