"""Validators asked in the middle of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.features import validation
from mlrun_jupyter.features.steps.base import Around, Bound, BuiltIn, Row, Schema, arguments, column
from mlrun_jupyter.model.features import FeatureSet

if TYPE_CHECKING:
    import polars as pl

_found: ContextVar[list[validation.Validated] | None] = ContextVar("validated", default=None)


@contextmanager
def collecting() -> Iterator[list[validation.Validated]]:
    """What the validators of steps find in the block. Outside of one, rows that break a rule are dropped and forgotten."""
    found: list[validation.Validated] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


class FeaturesetValidator(BuiltIn):
    """Asks the validators of the set's features here, and not again after the last step. Rows that break a rule of severity ``error`` go no further,
    but into the quarantine, with the columns that they have here.

    :param columns: whose; empty: all that have one and are there.

    >>> fset.graph.to(FeaturesetValidator(["delay"])).to(Extend(hours="delay / 60"))
    """

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self._args = arguments(columns=[columns] if isinstance(columns, str) else list(dict.fromkeys(columns)))

    def bind(self, before: Schema, around: Around) -> Bound:
        import polars as pl

        wanted = self._args.get("columns")
        ruled = {one.name: one for one in around.ruled}
        for name in wanted or ():
            column(before, name, self.kind)
            if name not in ruled:
                raise FeatureError(f"{self.kind}: {name!r} has no validator", why=f"features with one are {', '.join(ruled) or 'none'}", next_step="give the feature one, or leave it out here")
        asked = [one for name, one in ruled.items() if name in before and (not wanted or name in wanted)]
        document = FeatureSet(name=around.name, features=tuple(asked))

        def eager(frame: pl.DataFrame) -> pl.DataFrame:
            done = validation.validate(frame, document)
            collected = _found.get()
            if collected is not None:
                collected.append(done)
            return done.frame

        def event(row: Row) -> Any:
            if any(one.severity == "error" for one in validation.check_event(row, document)):
                collected = _found.get()
                if collected is not None:
                    collected.append(validation.validate(pl.DataFrame([row], schema=before), document))
                return None
            return row

        return Bound(before, event, eager=eager, asks=tuple(one.name for one in asked))
