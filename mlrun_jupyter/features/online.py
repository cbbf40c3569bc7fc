"""The newest features by key.

What is decided once, the sets, their names, keys and tables, is decided when the service is made and when rows of another form come. What is
done for each request is: a key's text, one read for each set, and the names of the result. Asking is asking *now*: a row that is older than its
set's ``ttl`` is as none, by the same rule as in offline retrieval, and windows are those of this moment. The store has one row of an entity, the
newest: a row is served from when it is ingested, also when its event or its ``known_at`` is still to come.
"""

from __future__ import annotations

import json
import math
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from json.encoder import encode_basestring
from typing import Any, cast

from mlrun_jupyter.errors import (
    FeatureError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
)
from mlrun_jupyter.features import frames, retrieve, tables, windows
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.model.features import FeatureSet, FeatureVector, seconds

STATISTICS = {"$mean": "mean", "$min": "min", "$max": "max", "$std": "std", "$count": "count", "$mode": "top"}
CLOSED = {"LastClosedWindow": True, "CurrentOpenWindow": False, "": False}
REFRESH, AGAIN = 5.0, 0.05
"""Seconds after which it is looked up which table of a set is served; and after which a key that is not found is reason enough to."""
NO_KEY = ""
"""No key has this text: they are lists in JSON."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class _Set:
    """One set of the vector, ready to be read."""

    part: retrieve.Part
    document: FeatureSet
    store: Any
    table: str
    plain: list[tuple[str, str]]
    own: list[tuple[str, str]]
    windows: list[tuple[str, str]]
    ttl: int
    hidden: list[tuple[str, str]] = field(default_factory=list)


class OnlineVectorService:
    """Serves the features of a vector.

    :param impute_policy: by feature, or ``*`` for all others: a constant, or ``$mean $min $max $std $count $mode`` from the statistics of the vector, else
        of the sets. It stands for what is missing, NaN or infinite; where no policy names a feature its own ``default`` does.
    :param fixed_window_type: ``LastClosedWindow``: aggregations over fixed windows are those of the last that is over; else of the one that is open.
    :param entity_keys: names of the values of a row that is a list; else the keys of the sets, in their order.
    :raises MLRunNotFoundError: for an unknown set or feature, with the nearest names, and for a set without data.
    :raises MLRunPreconditionFailedError: for a set whose rows are not online.
    """

    def __init__(
        self, place: Place, vector: FeatureVector, *, impute_policy: Mapping[str, Any] | None = None, fixed_window_type: Any = "",
        entity_keys: Sequence[str] = (), with_indexes: bool | None = None,
    ) -> None:  # fmt: skip
        self.vector = vector
        self._place = place
        name = str(getattr(fixed_window_type, "name", fixed_window_type))
        if name not in CLOSED:
            raise MLRunInvalidArgumentError(f"{name!r} is no type of window", why="types are LastClosedWindow and CurrentOpenWindow", next_step="use one of these")
        self._closed = CLOSED[name]
        parts = retrieve.resolve(place, vector)
        hidden = retrieve.hidden_keys(parts, vector)
        retrieve.no_clashes(parts, [])
        label = vector.label
        self._sets = [self._ready(part, label, hidden[part.label]) for part in parts]
        self._parts = parts
        self.features = tuple(alias for one in parts for alias in one.wanted.values() if alias != label)
        self._with_indexes = vector.with_indexes if with_indexes is None else with_indexes
        self._keys = tuple(entity_keys) or tuple(dict.fromkeys(key for one in parts for key in one.document.keys))
        self._empty: dict[str, Any] = dict.fromkeys(self.features)
        self._imputed = self._policy(dict(impute_policy or {}))
        self._plans: dict[tuple[str, ...], list[tuple[_Set, list[tuple[str, Callable[[Any], str | None]]]]]] = {}
        self._answer = windows.answer if any(one.windows for one in self._sets) else None
        self._checked = clock.monotonic()
        self.status = "ready"

    # -- what users call ------------------------------------------------------------------------------------------------

    def get(self, rows: Any, as_list: bool = False, *, at: datetime | None = None) -> list[Any]:
        """The features of each row asked about: ``[{"origin": "JFK"}, …]``, or lists of keys.

        :param as_list: lists of values in the order of :attr:`features`, instead of dictionaries.
        :param at: as if it were this moment, over the rows that are the newest now.
        :returns: for each row its features; of an unknown key all are ``None``, or what the policy says.
        :raises FeatureError: when a key is missing, or has a type that the set's cannot be equal to; and for windows of a row that was ingested before its set had them.
        """
        if self.status != "ready":
            raise MLRunPreconditionFailedError("the online service is closed", next_step="get another from the vector")
        if isinstance(rows, Mapping):
            rows = [rows]
        now = clock.time_ns() // 1000 if at is None else _micro(at)
        if clock.monotonic() - self._checked > REFRESH:
            self._refresh()
        asked = [row if type(row) is dict else self._named(row) for row in rows]
        made, missed = self._read(asked, now)
        if missed and clock.monotonic() - self._checked > AGAIN and self._refresh():
            # the set was overwritten: its rows are in another table now
            made, _ = self._read(asked, now)
        if self._imputed:
            for row in made:
                for name, value in self._imputed.items():
                    there = row[name]
                    if there is None or (type(there) is float and not math.isfinite(there)):
                        row[name] = value
        if as_list:
            return [[row[name] for name in self.features] for row in made]
        if self._with_indexes:
            return [{**{key: given[key] for key in self._keys if key in given}, **row} for given, row in zip(asked, made, strict=True)]
        return made

    def read_keys(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Keys that are written as texts, on a command line or in an address, as values of the sets' types.

        :raises FeatureError: for a text that is no value of the type.
        """
        import polars as pl

        types = {key: part.snapshot.schema[key] for part in self._parts for key in part.document.keys if key in part.snapshot.schema}
        found: dict[str, Any] = {}
        for name, text in texts.items():
            kind = types.get(name, pl.String())
            try:
                found[name] = tables.moment(text) if isinstance(kind, pl.Datetime) else pl.Series([text]).cast(kind)[0]
            except pl.exceptions.PolarsError as error:
                raise FeatureError(f"{text!r} is no value of the key {name!r}", why=f"it is of type {frames.value_type(kind)}", next_step="write it as such") from error
        return found

    @property
    def freshness(self) -> dict[str, dict[str, Any]]:
        """By set: ``newest``, the time of its newest event (ISO 8601, empty without one), its ``age`` in seconds, ``rows``, ``bytes``, ``ttl`` in seconds."""
        found = {}
        for one in self._sets:
            info = one.store.info(one.table)
            timed = bool(one.document.timestamp_key) and info["rows"]
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=info["newest"]) if timed else None
            found[one.document.name] = {
                "newest": moment.isoformat(timespec="microseconds") if moment else "", "age": clock.time() - info["newest"] / 1_000_000 if timed else None,
                "rows": info["rows"], "bytes": info["bytes"], "ttl": one.ttl / 1_000_000 if one.ttl else None,
            }  # fmt: skip
        return found

    def close(self) -> None:
        self.status = "closed"

    def __enter__(self) -> OnlineVectorService:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        lines = [f"online features of {self.vector.name}: {len(self.features)} by {', '.join(self._keys)}; {self.status}"]
        for name, one in self.freshness.items():
            age = f", newest {one['newest']}" if one["newest"] else ""
            lines.append(f"  {name}: {one['rows']:,} rows{age}")
        return "\n".join(lines)

    # -- a request ------------------------------------------------------------------------------------------------------

    def _read(self, asked: Sequence[dict[str, Any]], now: int) -> tuple[list[dict[str, Any]], bool]:
        if not asked:
            return [], False
        made = [self._empty.copy() for _ in asked]
        missed = False
        # most requests have rows of one form
        form = tuple(asked[0])
        forms: dict[tuple[str, ...], Sequence[int]] = {form: range(len(asked))}
        if any(tuple(row) != form for row in asked):
            forms = {}
            for index, row in enumerate(asked):
                cast(list[int], forms.setdefault(tuple(row), [])).append(index)
        for form, indexes in forms.items():
            plan = self._plans.get(form) or self._plan(form)
            chained = len(plan) > 1
            known = [dict(asked[index]) if chained else asked[index] for index in indexes]
            for one, pairs in plan:
                keys = [_key(row, pairs) for row in known]
                found = one.store.get(one.table, keys)
                for index, row, key, there in zip(indexes, known, keys, found, strict=True):
                    if there is None:
                        missed = missed or key != NO_KEY
                        continue
                    self._fill(one, there, now, made[index], row)
                    if chained and not (one.ttl and not fresh(there[0], now, one.ttl)):
                        for name, known_as in one.hidden:
                            row.setdefault(known_as, there[1].get(name))
        return made, missed

    def _fill(self, one: _Set, there: tuple[int, dict[str, Any]], now: int, into: dict[str, Any], given: Mapping[str, Any]) -> None:
        time, values = there
        if one.windows and self._answer is not None:
            if windows.STATE_COLUMN not in values:
                # offline they are those of all its rows, which are not here: nothing would be another answer
                raise FeatureError(
                    f"a row of feature set {one.document.name!r} is served without its windows", why="nothing was ingested since the set has aggregations",
                    next_step="ingest rows: the windows of all entities are made of what is there then",
                )  # fmt: skip
            answered = self._answer(one.document.aggregations, values[windows.STATE_COLUMN], now, closed=self._closed)
            for name, alias in one.windows:
                into[alias] = answered[name]
        if one.ttl and not fresh(time, now, one.ttl):
            return
        get = values.get
        for name, alias in one.plain:
            into[alias] = get(name)
        for name, alias in one.own:
            # a key is not stored with the row: it is what was asked for
            into[alias] = given.get(name)

    def _named(self, row: Any) -> dict[str, Any]:
        if isinstance(row, Mapping):
            return dict(row)
        if isinstance(row, str | bytes) or not isinstance(row, Sequence):
            row = [row]
        if len(row) != len(self._keys):
            raise FeatureError(f"a row asked about has {len(row)} values", why=f"the keys are {', '.join(self._keys)}", next_step="give one value for each, or a dictionary")
        return dict(zip(self._keys, row, strict=True))

    def _plan(self, form: tuple[str, ...]) -> list[tuple[_Set, list[tuple[str, Callable[[Any], str | None]]]]]:
        columns = list(form)
        made = []
        for one in self._sets:
            pairs = retrieve.pairs_of(one.part, self._parts, self.vector, columns)
            made.append((one, [(column, _converter(column, one.part.snapshot.schema[key])) for column, key in pairs.items()]))
            columns += [name for _, name in one.hidden if name not in columns]
        self._plans[form] = made
        return made

    # -- once ------------------------------------------------------------------------------------------------------------

    def _ready(self, part: retrieve.Part, label: str, hidden: list[str]) -> _Set:
        document = part.document
        name = document.name
        table = self._table(part)
        aggregated = {feature for one in document.aggregations for feature in one.features}
        wanted = [(feature, alias) for feature, alias in part.wanted.items() if alias != label]
        store = part.place.online() if part.place.online is not None else None
        if store is None or not document.keys:
            raise MLRunPreconditionFailedError(
                f"feature set {name!r} is not online", why="it has no entities" if store else "there is no online store here",
                next_step="give it entities, and ingest again" if store else "pip install 'mlrun-jupyter[features]'",
            )  # fmt: skip
        return _Set(
            part, document, store, table, [one for one in wanted if one[0] not in aggregated and one[0] not in document.keys],
            [one for one in wanted if one[0] in document.keys], [one for one in wanted if one[0] in aggregated],
            int(seconds(document.ttl) * 1_000_000) if document.ttl else 0,
            # a feature that later sets are joined by is known to them under its own name, too
            [*dict.fromkeys([*((name, name) for name in (*hidden, *part.wanted)), *part.wanted.items()])],
        )  # fmt: skip

    def _table(self, part: retrieve.Part) -> str:
        status = part.place.set(part.document.name).status
        if not any(one.get("kind") == "online" and one.get("table") for one in status.targets):
            raise MLRunPreconditionFailedError(
                f"the rows of feature set {part.document.name!r} are not online", why="it was ingested without the target 'online'",
                next_step="fset.set_targets(['offline', 'online']), then ingest again",
            )  # fmt: skip
        return online_table(status, part.document.name)

    def _refresh(self) -> bool:
        """Whether a set is served from another table than before: it was overwritten."""
        changed = False
        for one in self._sets:
            table = self._table(one.part)
            changed, one.table = changed or table != one.table, table
        self._checked = clock.monotonic()
        return changed

    def _policy(self, policy: dict[str, Any]) -> dict[str, Any]:
        """By feature, what stands for nothing."""
        for name in policy:
            if name != "*" and name not in self.features:
                raise MLRunNotFoundError(f"the policy names {name!r}, which is no feature of {self.vector.name!r}", why=f"nearest are {frames.near(name, self.features)}", next_step="name one of these, or *")
        defaults = {alias: one.default for part in self._parts for one in part.document.features if (alias := part.wanted.get(one.name)) and one.default is not None}
        made = {}
        for name in self.features:
            value = policy.get(name, defaults.get(name, policy.get("*")))
            if isinstance(value, str) and value.startswith("$"):
                value = self._statistic(name, value)
            if value is not None:
                made[name] = value
        return made

    def _statistic(self, name: str, wanted: str) -> Any:
        if wanted not in STATISTICS:
            raise MLRunInvalidArgumentError(f"{wanted!r} is no statistic", why=f"there are {', '.join(STATISTICS)}", next_step=f"use one of these for {name!r}, or a constant")
        part, feature = next((one, original) for one in self._parts for original, alias in one.wanted.items() if alias == name)
        try:
            own = self._place.definitions.get_feature_object("feature-vector", self.vector.project or self._place.project, self.vector.name).status.stats
        except MLRunNotFoundError:
            own = {}
        stats = own.get(name) or part.place.set(part.document.name).status.stats.get(feature, {})
        found = stats.get(STATISTICS[wanted])
        if wanted == "$mode" and found is None and stats.get("hist"):
            # of numbers the middle of the fullest bin
            counts, edges = stats["hist"]
            fullest = counts.index(max(counts))
            found = (edges[fullest] + edges[fullest + 1]) / 2
        if found is None:
            raise FeatureError(
                f"{name!r} has no {wanted}", why="its statistics are those of another type" if stats else "no statistics are recorded for it",
                next_step=f"give it a constant: {{'{name}': …}}" if stats else "get_offline_features(update_stats=True) records those of the vector",
            )  # fmt: skip
        return found


def fresh(time: int, now: int, ttl: int) -> bool:
    """Whether an event counts at a moment, all in microseconds: the rule of :func:`mlrun_jupyter.features.asof.positions`."""
    return now - time <= ttl


def _key(row: Mapping[str, Any], pairs: Sequence[tuple[str, Callable[[Any], str | None]]]) -> str:
    """The key's text, as :func:`mlrun_jupyter.features.frames.key_text` makes it."""
    # a set before that has no row gives no key either
    texts = [text(row.get(column)) for column, text in pairs]
    return NO_KEY if None in texts else f"[{','.join(cast(list[str], texts))}]"


def _micro(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _converter(name: str, kind: Any) -> Callable[[Any], str | None]:
    """From what users have to its place in a key's text; nothing where it can be no key."""
    import polars as pl

    def wrong(value: Any) -> FeatureError:
        return FeatureError(
            f"key {name!r} is a {type(value).__name__} where it is asked about, and {frames.value_type(kind)} in the feature set",
            why="values of these types are never equal", next_step=f"give {name!r} the type {frames.value_type(kind)}",
        )  # fmt: skip

    def text(value: Any) -> str | None:
        if isinstance(value, str):
            return encode_basestring(value)
        if value is None:
            return None
        raise wrong(value)

    def integer(value: Any) -> str | None:
        if type(value) is int:
            return str(value)
        value = value.item() if hasattr(value, "item") else value
        if value is None:
            return None
        if isinstance(value, float):
            # 1.0 is 1, and 1.5 is no key
            return str(int(value)) if value.is_integer() else None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(value)
        return str(int(value))

    def number(value: Any) -> str | None:
        value = value.item() if hasattr(value, "item") else value
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(value)
        return _encode(float(value))

    def moment(value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, datetime):
            raise wrong(value)
        return other(value.replace(tzinfo=UTC) if value.tzinfo is None else value)

    def day(value: Any) -> str | None:
        if value is not None and not isinstance(value, date):
            raise wrong(value)
        return other(value.date() if isinstance(value, datetime) else value)

    def other(value: Any) -> str | None:
        return None if value is None else frames.key_text([value])[1:-1]

    if kind == pl.String:
        return text
    if kind.is_integer():
        return integer
    if kind.is_float():
        return number
    if isinstance(kind, pl.Datetime):
        return moment
    return day if kind == pl.Date else other
