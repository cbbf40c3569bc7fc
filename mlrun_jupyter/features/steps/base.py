"""What a step is: it knows the columns after it before any row is seen, and has one evaluation for columns and one for a single row."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.model.features import Feature, FeatureSet, Step, check_column

if TYPE_CHECKING:
    import polars as pl

Schema = dict[str, Any]
"""Name to polars type, in the order of the columns."""
Row = dict[str, Any]
Event = Callable[[Row], "Row | list[Row] | None"]
"""A new row, several, or none. What is given is not changed."""


@dataclass(frozen=True)
class Around:
    """What a step may know of its set.

    :ivar protected: keys, times and label, which no step may take away.
    :ivar table: gives the newest row of each key of another set, as a frame.
    :ivar ruled: features that have a validator.
    """

    name: str = ""
    keys: tuple[str, ...] = ()
    timestamp_key: str = ""
    protected: tuple[str, ...] = ()
    table: Callable[[str], tuple[pl.DataFrame, tuple[str, ...]]] | None = None
    ruled: tuple[Feature, ...] = ()

    @classmethod
    def of(cls, fset: FeatureSet, table: Any = None) -> Around:
        kept = dict.fromkeys((*fset.keys, *filter(None, (fset.timestamp_key, fset.known_at, fset.label_column))))
        return cls(fset.name, fset.keys, fset.timestamp_key, tuple(kept), table, tuple(one for one in fset.features if one.validator))


@dataclass(frozen=True)
class Bound:
    """A step over rows of known columns. One of ``lazy`` and ``eager`` is its evaluation in columns.

    :ivar fresh: makes the ``event`` of a step that keeps state anew.
    :ivar asks: features whose validators are asked here.
    """

    schema: Schema
    event: Event
    lazy: Callable[[pl.LazyFrame], pl.LazyFrame] | None = None
    eager: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    fresh: Callable[[], Event] | None = None
    asks: tuple[str, ...] = ()


class BuiltIn:
    """Base of the steps that are ours: arguments are plain values, so that the step can be kept and read again.

    A subclass sets ``self._args`` and implements :meth:`bind`.
    """

    kinds: ClassVar[dict[str, type[BuiltIn]]] = {}
    _args: dict[str, Any]
    source = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        BuiltIn.kinds[cls.__name__] = cls

    @property
    def kind(self) -> str:
        return type(self).__name__

    def step(self, name: str = "", after: Iterable[str] = ()) -> Step:
        """As it is kept."""
        return Step(name or self.kind, self.kind, self._args, self.source, tuple(after))

    def schema(self, before: Mapping[str, Any], around: Around | None = None) -> Schema:
        """The columns after it.

        :raises FeatureError: when it cannot be applied to rows of these columns.
        """
        return self.bind(dict(before), around or Around()).schema

    def bind(self, before: Schema, around: Around) -> Bound:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{key}={value!r}' for key, value in self._args.items() if value not in ((), {}, '', None, False))})"


def built(step: Step) -> Any:
    """The step that a document says.

    :raises MLRunInvalidArgumentError: for a kind that is not known here.
    """
    cls = BuiltIn.kinds.get(step.kind)
    if cls is None:
        near = difflib.get_close_matches(step.kind, BuiltIn.kinds, 3)
        raise MLRunInvalidArgumentError(
            f"there is no step {step.kind!r}", why=f"steps are {', '.join(sorted(BuiltIn.kinds))}", next_step=f"did you mean {' or '.join(near)}?" if near else "use one of these"
        )  # fmt: skip
    made: Any = cls.__new__(cls)
    try:
        if step.source:
            made.__init__(source=step.source, **step.args)
        else:
            made.__init__(**step.args)
    except TypeError as error:
        raise MLRunInvalidArgumentError(f"the step {step.name!r} cannot be read", why=str(error), next_step=f"see help(fstore.{step.kind})") from None
    return made


def column(before: Mapping[str, Any], name: str, kind: str) -> Any:
    """The type of a column that is there.

    :raises FeatureError: when it is not, with the nearest names.
    """
    if name not in before:
        near = difflib.get_close_matches(name, before, 3)
        raise FeatureError(
            f"{kind}: there is no column {name!r}", why=f"columns before it are {', '.join(list(before)[:12])}{', …' if len(before) > 12 else ''}",
            next_step=f"did you mean {' or '.join(near)}?" if near else "name a column that is there",
        )  # fmt: skip
    return before[name]


def new(before: Mapping[str, Any], names: Iterable[str], kind: str) -> None:
    """:raises FeatureError: when a column of such a name is there already, or twice among the new ones."""
    seen: set[str] = set()
    for name in names:
        check_column(name, "column")
        if name in before or name in seen:
            raise FeatureError(
                f"{kind}: {name!r} is there already", why="a step does not replace a column unasked, and two columns cannot have one name",
                next_step="give the new column another name, or drop or rename the old one before",
            )  # fmt: skip
        seen.add(name)


def kept(around: Around, names: Iterable[str], kind: str) -> None:
    """:raises FeatureError: when one of the columns that are to go is a key, time or label."""
    gone = [name for name in names if name in around.protected]
    if gone:
        raise FeatureError(
            f"{kind}: {gone[0]!r} cannot be taken away or changed", why=f"it is a key, the time or the label of {around.name!r}", next_step="leave it, and add a column of another name"
        )  # fmt: skip


def arguments(**given: Any) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value not in (None, "", (), [], {}) and value is not False}

