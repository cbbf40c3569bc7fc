"""Giving the outputs of an earlier run again, as a run of its own that says so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.digests import Digests
from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.clock import elapsed, iso, now, parse
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import parse_artifact
from mlrun_jupyter.model.order import BoundInput
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.runs import cache, record
from mlrun_jupyter.runs.installed import installed
from mlrun_jupyter.secrets import lookup

LARGEST = 200_000_000
"""Bytes of an artifact up to which its content is compared; of larger ones, the size."""
MOST_METRICS = 2_000


def find(
    store: Store, home: Path, function: Function, parameters: Mapping[str, Any], inputs: Sequence[BoundInput], env: Mapping[str, str], workdir: Path
) -> tuple[Run | None, tuple[str, ...], str]:  # fmt: skip
    """The run whose outputs may be given again, what was found, and the key."""
    given = {**function.env, **env}
    with Digests(home) as known:
        digests = record.digest_inputs(inputs, known, workdir=workdir)
        key = record.key_of(function.work_hash, parameters, digests, {one.name: one.type for one in inputs}, given)
        if not key:
            names = ", ".join(name for name, digest in digests.items() if not digest)
            return None, (f"input {names} has no digest: its store says neither ETag nor time of the last change",), ""
        candidates = store.find_cached(function.project, key)
        if not candidates:
            return None, ("no completed run has this code with these parameters and inputs",), key
        there = cache.Now(
            packages=installed(home), digest=known.of_path,
            variable=lambda name: cache.home_variable(home, function.project, given, name, lookup),
            missing=lambda run: missing(store, home, run, known),
        )  # fmt: skip
        chosen, said = cache.choose(candidates, there)
    return chosen, tuple(said), key


def missing(store: Store, home: Path, run: Run, known: Digests) -> str:
    """Why an output of the run cannot be given any more; empty when all are there."""
    for name, uri in run.artifact_uris.items():
        try:
            artifact = store.get_artifact(parse_artifact(uri))
        except MLRunError:
            return f"its artifact {name} is deleted"
        try:
            if "://" in artifact.path and not artifact.path.startswith("file://"):
                known.of_url(artifact.path)
                continue
            path = home / artifact.path.removeprefix("file://")
            if not path.exists():
                return f"the content of its artifact {name} is gone"
            if artifact.digest and artifact.size <= LARGEST:
                if known.of_path(path) != artifact.digest:
                    return f"the content of its artifact {name} was changed"
            elif path.is_file() and artifact.size and path.stat().st_size != artifact.size:
                return f"the content of its artifact {name} was changed"
        except OSError as error:
            return f"the content of its artifact {name} cannot be read: {error}"
    return ""


def give(store: Store, home: Path, run: Run, earlier: Run) -> Run:
    """Record ``run`` as completed with the earlier one's outputs.

    :param run: as it would have been submitted.
    """
    moment = iso(now())
    took = ""
    if earlier.started and earlier.ended:
        took = f", which took {elapsed((parse(earlier.ended) - parse(earlier.started)).total_seconds())}"
    note = f"cached: not executed; these are the outputs of run {earlier.uid[:12]} of {earlier.created[:19].replace('T', ' ')}{took}"
    folder = home / run.folder
    folder.mkdir(parents=True)
    _say(folder, note)
    given = msgspec.structs.replace(
        run, cached_from=earlier.uid, results=earlier.results, artifact_uris=earlier.artifact_uris, started=moment,
        notes=(note,), environment=earlier.environment, record=earlier.record, commit=earlier.commit,
    )  # fmt: skip
    store.create_run(given)
    for name, uri in given.inputs.items():
        store.put_use(run.uid, name, uri, "in")
    for name, uri in given.artifact_uris.items():
        store.put_use(run.uid, name, uri, "out")
    metrics = store.get_metrics(earlier.uid)
    if metrics:
        store.put_metrics(run.uid, metrics[-MOST_METRICS:])
    return store.update_run(
        run.uid, lambda old: msgspec.structs.replace(old, state=states.COMPLETED, ended=iso(now())), outbox="run"
    )


def _say(folder: Path, note: str) -> None:
    """The journal of a run that was not executed; in the form of :mod:`mlrun_jupyter.notebooks.journal`."""
    import json
    import time

    entries = [
        {"n": 0, "t": round(time.time(), 3), "cell": -1, "type": "note", "text": note},
        {"n": 1, "t": round(time.time(), 3), "cell": -1, "type": "end", "state": states.COMPLETED, "cause": ""},
    ]
    text = "".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n" for entry in entries)
    with os.fdopen(os.open(folder / "journal.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
