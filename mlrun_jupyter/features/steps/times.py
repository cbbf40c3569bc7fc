"""Parts of times as columns."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features import expressions
from mlrun_jupyter.features.expressions.dates import PARTS, SYNONYMS
from mlrun_jupyter.features.steps.base import Around, Bound, BuiltIn, Row, Schema, arguments, column, new


class DateExtractor(BuiltIn):
    """Parts of a time, as ``<column>_<part>``.

    :param parts: ``year quarter month day hour minute second microsecond day_of_week`` (Monday is 0) ``day_of_year week`` (of ISO 8601) ``days_in_month
        is_leap_year is_month_start is_month_end is_quarter_start is_quarter_end is_year_start is_year_end``, and pandas' other names for them;
        or a mapping from the part to the name of its column.
    :param timestamp_col: the set's time.
    """

    def __init__(self, parts: Sequence[str] | Mapping[str, str], timestamp_col: str = "") -> None:
        for part in parts:
            if SYNONYMS.get(part, part) not in PARTS:
                near = difflib.get_close_matches(part, [*PARTS, *SYNONYMS], 3)
                raise FeatureError(
                    f"DateExtractor: times have no part {part!r}", why=f"parts are {', '.join(PARTS)}", next_step=f"did you mean {' or '.join(near)}?" if near else "use one of these"
                )  # fmt: skip
        if not parts:
            raise MLRunInvalidArgumentError("DateExtractor has no parts", next_step="give for example DateExtractor(['hour', 'day_of_week'])")
        self._args = arguments(parts=dict(parts) if isinstance(parts, Mapping) else list(dict.fromkeys([parts] if isinstance(parts, str) else parts)), timestamp_col=timestamp_col)

    def bind(self, before: Schema, around: Around) -> Bound:
        name = self._args.get("timestamp_col") or around.timestamp_key or "timestamp"
        column(before, name, "DateExtractor")
        parts = self._args["parts"]
        named = parts if isinstance(parts, dict) else {part: f"{name}_{part}" for part in parts}
        new(before, named.values(), "DateExtractor")
        made = {into: expressions.compile(f"{part}(col({name!r}))", before) for part, into in named.items()}
        values = [(into, one.value) for into, one in made.items()]

        def event(row: Row) -> Row:
            return {**row, **{into: value(row) for into, value in values}}

        def lazy(frame: Any) -> Any:
            return frame.with_columns(one.column.alias(into) for into, one in made.items())

        return Bound({**before, **{into: one.dtype for into, one in made.items()}}, event, lazy=lazy)
