"""Runs: listing, starting, ending, and what is recorded of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.rest.functions import find
from mlrun_jupyter_server.rest.shapes import artifact_summary, run_fields, run_summary
from mlrun_jupyter_server.schema import (
    CompareQuery,
    Comparison,
    Deleted,
    Empty,
    Journal,
    JournalQuery,
    Metrics,
    MetricsQuery,
    NewRun,
    Rerun,
    RunDetail,
    RunPage,
    RunQuery,
    Started,
)
from mlrun_jupyter_server.schema.runs import Point, Record, Row


def runs(core: Core, asked: RunQuery, project: str) -> RunPage:
    from mlrun_jupyter.project import moment

    store = core.session.store
    store.get_project(project)
    rows = store.list_runs(
        project, state=asked.state, name=asked.name, labels=asked.label, function=asked.function, since=moment(asked.since),
        until=moment(asked.until), parent=None if asked.parent == "*" else asked.parent, sort=asked.sort, limit=asked.limit,
        page_token=asked.page_token,
    )  # fmt: skip
    return RunPage(tuple(map(run_summary, rows)), rows.next_page_token)


def detail(core: Core, run: Any) -> RunDetail:
    made = core.session.store.list_artifacts(run.project, tree=run.cached_from or run.uid, limit=1000)
    record = Record(run.record.packages, run.record.inputs, run.record.seeds, run.record.unseen)
    known = set(RunDetail.__struct_fields__) - {"artifacts", "record"}
    fields = {**{name: getattr(run, name) for name in known - {"duration", "progress"}}, **run_fields(run)}
    return RunDetail(**fields, artifacts=tuple(artifact_summary(*row) for row in made), record=record)


def _handle(core: Core, uid: str) -> Any:
    from mlrun_jupyter.handles import RunObject

    return RunObject(core.session, core.session.store.get_run(uid))


def run(core: Core, uid: str) -> RunDetail:
    handle = _handle(core, uid)
    # a dead worker's run is told as lost when somebody looks
    handle.state()
    return detail(core, handle.refresh())


def submit(core: Core, asked: NewRun, project: str) -> RunDetail:
    session = core.session
    session.store.get_project(project)
    function = find(core, project, asked.function)
    made = session.run(
        function, params=asked.params, inputs=asked.inputs, name=asked.name, executor=asked.executor, timeout=asked.timeout,
        retries=asked.retries, labels=asked.labels, hyperparams=asked.hyperparams, hyper_param_options=asked.hyper_param_options,
        cache=asked.cache, seed=asked.seed, workdir=_workdir(core, function, asked.workdir), watch=False,
    )  # fmt: skip
    return detail(core, made.refresh())


def _workdir(core: Core, function: Any, asked: str) -> Path:
    """:raises MLRunInvalidArgumentError: when the folder that was asked for is not there."""
    from mlrun_jupyter.errors import MLRunInvalidArgumentError

    if asked:
        folder = Path(core.root, Path(asked).expanduser())
        if not folder.is_dir():
            raise MLRunInvalidArgumentError(f"there is no folder {asked}", why=f"{folder} does not exist", next_step="name one that is there")
        return folder
    before = core.session.store.list_runs(function.project, function=function.name, parent=None, limit=1)
    return Path(before[0].workdir) if before and Path(before[0].workdir).is_dir() else Path(core.root)


def rerun(core: Core, asked: Rerun, uid: str) -> RunDetail:
    from mlrun_jupyter.reruns import rerun as again

    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not msgspec.UNSET}
    made = again(core.session, core.session.store.get_run(uid), **given)
    return detail(core, made.refresh())


def abort(core: Core, asked: Empty, uid: str) -> RunDetail:
    handle = _handle(core, uid)
    handle.abort()
    return detail(core, handle.refresh())


def resume(core: Core, asked: Empty, uid: str) -> RunDetail:
    return detail(core, _handle(core, uid).resume(watch=False).refresh())


def replay(core: Core, asked: Empty, uid: str) -> Started:
    from mlrun_jupyter.replays import begin

    _, again, _ = begin(core.session, core.session.store.get_run(uid))
    return Started(again.uid)


def replayed(core: Core, uid: str) -> Any:
    from mlrun_jupyter.replays import report

    return report(core.session, core.session.store.get_run(uid)).to_dict()


def delete(core: Core, uid: str) -> Deleted:
    """The record and its folder; artifacts stay.

    :raises MLRunPreconditionFailedError: while it goes on.
    """
    from mlrun_jupyter import tidy
    from mlrun_jupyter.errors import MLRunPreconditionFailedError

    found = core.session.store.get_run(uid)
    if not found.terminal:
        raise MLRunPreconditionFailedError(f"run {found.uid[:12]} cannot be deleted", why=f"it is {found.state}", next_step="abort it first")
    report = tidy.delete_runs(core.session, found.project, [found], artifacts=False, dry_run=False)
    return Deleted(tuple(gone.uid for gone in report.runs))


def journal(core: Core, asked: JournalQuery, uid: str) -> Journal:
    from mlrun_jupyter.notebooks.journal import read_part

    handle = _handle(core, uid)
    executed = handle.executed()
    # first the state: what an ended run wrote is all there
    over = handle.refresh().terminal
    entries, last = read_part(executed.folder, asked.after, asked.limit)
    return Journal(tuple(entries), asked.after + len(entries), last and over)


def metrics(core: Core, asked: MetricsQuery, uid: str) -> Metrics:
    found = _handle(core, uid).metrics(asked.key)
    return Metrics(tuple(Point(p.key, p.step, _number(p.value), p.time) for p in found if p.time >= asked.since))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def lineage(core: Core, uid: str) -> Any:
    from mlrun_jupyter.lineage import around

    return around(core.session, core.session.store.get_run(uid))


def why(core: Core, uid: str) -> Any:
    found = _handle(core, uid).why()
    return {**found.to_dict(), "headline": found.headline(), "parts": [{"title": title, "lines": lines} for title, lines in found.parts()]}


def compared(core: Core, asked: CompareQuery) -> Any:
    from mlrun_jupyter.handles import RunList

    return RunList([_handle(core, uid) for uid in asked.uid]).compare(hide_identical=not asked.identical, show=False)


def compare(core: Core, asked: CompareQuery) -> Comparison:
    found = compared(core, asked)
    curves: dict[str, list[list[tuple[int, float | None]]]] = {}
    for at, run in enumerate(found.runs):
        for point in found.metrics.get(run.uid, ()):
            if point.key not in curves:
                curves[point.key] = [[] for _ in found.runs]
            curves[point.key][at].append((point.step, _number(point.value)))
    page = f"compare/page?{urlencode([('uid', run.uid) for run in found.runs])}"
    rows = tuple(Row(section, name, tuple(values)) for section, name, values in found.rows)
    ordered = {key: tuple(map(tuple, curves[key])) for key in sorted(curves)}
    return Comparison(tuple(map(run_summary, found.runs)), rows, found.same, ordered, page)
