"""Parameters, metrics and tags within MLflow's limits, sent so that sending again changes nothing."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.model import clock

if TYPE_CHECKING:
    from mlrun_jupyter.model.function import Function
    from mlrun_jupyter.model.run import Run

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 5000
BATCH = 100
METRIC_BATCH = 1000
LARGEST = 1.7976931348623157e308

Point = tuple[str, float, int, int]
"""key, value, milliseconds since the epoch, step"""


def milliseconds(text: str) -> int:
    """An ISO time as MLflow counts; without one the present."""
    return round(clock.parse(text).timestamp() * 1000) if text else time.time_ns() // 1_000_000


def key(name: str) -> str:
    """The name with only those characters that MLflow allows."""
    return re.sub(r"[^\w.\-/ ]", "_", name)[:MAX_KEY] or "_"


def text(value: Any) -> str:
    """A value as people write it: texts as they are, structures as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def is_number(value: Any) -> bool:
    """Whether the value can be a metric. Truth values are none, and neither are integers beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) <= int(LARGEST)


def tags(run: Run, function: Function | None) -> dict[str, str]:
    """All tags that tell of the run."""
    source = function.origin.notebook if function is not None and function.origin.notebook else run.function
    found = {
        "mlrun.uid": run.uid,
        "mlrun.project": run.project,
        "mlrun.name": run.name,
        "mlrun.uri": run.uri,
        "mlrun.function": run.function,
        "mlrun.state": run.state,
        "mlrun.cause": run.cause,
        "mlrun.error": run.error,
        "mlrun.executor": run.executor,
        "mlrun.handler": run.handler,
        "mlflow.user": run.owner,
        "mlflow.source.name": source,
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.git.commit": run.commit.rstrip("+"),
        "mlflow.note.content": _note(run, function),
    }
    if run.commit.endswith("+"):
        found["mlrun.uncommitted"] = "true"
    found |= {key(f"label.{name}"): value for name, value in run.labels.items()}
    found |= {key(f"input.{name}"): value for name, value in run.inputs.items()}
    found |= {key(f"result.{name}"): text(value) for name, value in run.results.items() if not is_number(value)}
    return {name: value for name, value in found.items() if value}


def _note(run: Run, function: Function | None) -> str:
    parts = []
    if function is not None and function.description:
        parts.append(function.description)
    if run.cause:
        parts.append(f"**{run.state}**: {run.cause}")
    parts.extend(f"- {note}" for note in run.notes)
    return "\n\n".join(parts)


def send_tags(client: Any, there: Any, wanted: dict[str, str]) -> None:
    """Set those tags that are not set yet."""
    from mlflow.entities import RunTag

    cut = {name: value if len(value) <= MAX_TAG else value[: MAX_TAG - 1] + "…" for name, value in wanted.items()}
    fresh = [RunTag(name, value) for name, value in cut.items() if there.data.tags.get(name) != value]
    for start in range(0, len(fresh), BATCH):
        client.log_batch(there.info.run_id, tags=fresh[start : start + BATCH])


def send_params(client: Any, there: Any, parameters: dict[str, Any], *, prefix: str = "mlrun.") -> None:
    """Log those parameters that are not logged yet.

    MLflow's parameters cannot change. Where the run's own code logged the name with another value, ours goes under
    ``<prefix><name>``.
    """
    from mlflow.entities import Param

    logged: dict[str, str] = there.data.params
    fresh: dict[str, str] = {}
    truncated = []
    for name, given in parameters.items():
        value = text(given)
        if len(value) > MAX_PARAM:
            value = value[: MAX_PARAM - 1] + "…"
            truncated.append(name)
        target = key(name)
        if logged.get(target, value) != value:
            target = key(f"{prefix}{name}")
        if target not in logged:
            fresh[target] = value
    params = [Param(name, value) for name, value in fresh.items()]
    for start in range(0, len(params), BATCH):
        client.log_batch(there.info.run_id, params=params[start : start + BATCH])
    if truncated:
        send_tags(client, there, {"mlrun.truncated": ",".join(sorted(truncated))})


def send_metrics(client: Any, there: Any, points: list[Point], *, latest: bool = False) -> None:
    """Log those points that are not logged yet.

    :param latest: leave a point out if the metric's last value equals it already, at whatever step and time.
    """
    from mlflow.entities import Metric

    logged = there.data.metrics if not latest else client.get_run(there.info.run_id).data.metrics
    fresh: list[Metric] = []
    known: dict[str, set[tuple[str, int, int]]] = {}
    for name, value, moment, step in points:
        if latest and name in logged and _same(logged[name]) == _same(value):
            continue
        if name not in known:
            history = client.get_metric_history(there.info.run_id, name) if name in logged else ()
            known[name] = {(_same(point.value), point.timestamp, point.step) for point in history}
        identity = (_same(value), moment, step)
        if identity not in known[name]:
            known[name].add(identity)
            fresh.append(Metric(name, value, moment, step))
    for start in range(0, len(fresh), METRIC_BATCH):
        client.log_batch(there.info.run_id, metrics=fresh[start : start + METRIC_BATCH])


def _same(value: float) -> str:
    """A form in which equal values are equal: NaN is itself, and infinity is what MLflow stores for it."""
    return repr(max(-LARGEST, min(LARGEST, value))) if value == value else "nan"
