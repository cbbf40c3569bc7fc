"""The graph of a set as users build and see it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import msgspec

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features.steps.base import BuiltIn, Schema, built
from mlrun_jupyter.features.steps.pipeline import START, Pipeline, parents
from mlrun_jupyter.features.steps.user import Take, user_step
from mlrun_jupyter.model.features import FeatureSet, Step


class Graph:
    """The steps of a set; :meth:`to` adds one behind the last.

    :param read: gives the set's document; :param write: takes the changed one.
    :param take: finds the source of a user's class or function.

    >>> fset.graph.to(MapValues({"origin": {"EWR": 1}}, with_original_features=True)).to(Filter("distance > 0"))
    """

    def __init__(self, read: Callable[[], FeatureSet], write: Callable[[FeatureSet], None], take: Take | None = None, over: Any = None) -> None:
        self._read, self._write, self._take = read, write, take
        self._over: Schema | None = over

    def over(self, rows: Any) -> Graph:
        """Check this and every further step against the columns of a frame, or of a mapping from name to polars type, when it is added.

        :raises FeatureError: when steps that are there do not fit.
        """
        from mlrun_jupyter.features.frames import frame_of, plain

        self._over = dict(rows) if isinstance(rows, Mapping) and not any(isinstance(value, list) for value in rows.values()) else dict(plain(frame_of(rows)).schema)
        self.schema()
        return self

    def to(self, step: Any, name: str = "", after: Any = None, **arguments: Any) -> Place:
        """Add a step.

        :param step: one of ours (``MapValues(…)``), its name with arguments, a class with ``do(event)``, or a function of a frame.
        :param name: of the step in the graph; its kind, with a number when that is taken.
        :param after: the name of the step before it, or several whose rows come together; ``"source"`` begins a branch. Else the last one.
        :param arguments: of the step; of a user's also ``adds={column: type}`` and ``drops=[column]``, what its rows have and have no more.
        :raises FeatureError: when it cannot be there; the graph stays as it was.
        """
        document = self._read()
        made = self._step(step, arguments)
        label = name or made._args.get("name") or made.kind
        taken = {one.name for one in document.steps}
        if name and name in taken:
            raise FeatureError(f"there is a step {name!r} already", next_step="give this one another name")
        number = 2
        while label in taken:
            label, number = f"{name or made.kind}_{number}", number + 1
        behind = (after,) if isinstance(after, str) else tuple(after or ())
        if document.steps and behind == (document.steps[-1].name,):
            behind = ()
        steps = (*document.steps, made.step(label, behind))
        checked = [msgspec.structs.replace(one, after=one.after) for one in steps]
        _connected(checked)
        if self._over is not None and not _loose(steps):
            pipeline = Pipeline(steps, document)
            if not pipeline.undeclared:
                pipeline.bind(self._over)
        self._write(msgspec.structs.replace(document, steps=steps))
        return Place(self, label)

    def schema(self) -> Schema:
        """The columns after the last step, where those of the source are known."""
        if self._over is None:
            raise FeatureError("the columns of the source are not known", next_step="say them with graph.over(frame)")
        return Pipeline(self._read().steps, self._read()).schema(self._over)

    def remove(self, name: str) -> Graph:
        """Take a step out; those behind it come after the one before it."""
        document = self._read()
        above = parents(document.steps)
        if name not in above:
            raise FeatureError(f"there is no step {name!r}", why=f"steps are {', '.join(above) or 'none'}", next_step="name one of these")
        left = tuple(
            msgspec.structs.replace(one, after=tuple(dict.fromkeys(each for was in one.after for each in (above[name] if was == name else (was,)))))
            for one in document.steps if one.name != name
        )  # fmt: skip
        self._write(msgspec.structs.replace(document, steps=left))
        return self

    @property
    def steps(self) -> tuple[Step, ...]:
        return self._read().steps

    def __len__(self) -> int:
        return len(self.steps)

    def _step(self, step: Any, arguments: Mapping[str, Any]) -> BuiltIn:
        if isinstance(step, BuiltIn):
            if arguments:
                raise MLRunInvalidArgumentError(f"{step.kind} has its arguments already", next_step="give all of them to one of both")
            return step
        if isinstance(step, str):
            kind = step.rpartition(".")[2]
            if kind == "Extend" and "_fn" in arguments:
                raise MLRunInvalidArgumentError("functions written in a text are not executed", next_step="write Extend(x=\"a * 2\") instead of _fn=\"({'x': event['a'] * 2})\"")
            found: BuiltIn = built(Step(kind, kind, dict(arguments)))
            return found
        if inspect.isclass(step) and issubclass(step, BuiltIn):
            return step(**arguments)
        if inspect.isclass(step) or inspect.isfunction(step):
            return user_step(step, take=self._take, **arguments)
        raise MLRunInvalidArgumentError(
            f"{step!r} is no step", why="a step is one of ours, a class with do(event), or a function of a frame",
            next_step=f"give the class itself: graph.to({type(step).__name__}, …)" if hasattr(step, "do") else "see help(fstore)",
        )  # fmt: skip

    # -- showing ----------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        steps = self.steps
        if not steps:
            return "no steps"
        above = parents(steps)
        straight = list(above.values()) == [(START,), *((one.name,) for one in steps[:-1])]
        lines = [START]
        for one in steps:
            behind = "" if straight else f"   after {', '.join(above[one.name])}"
            lines.append(f"  → {one.name}: {built(one)!r}{behind}" if one.name != one.kind else f"  → {built(one)!r}{behind}")
        return "\n".join(lines)

    def plot(self) -> Picture:
        """The graph as a picture (SVG), which a notebook shows."""
        return Picture(svg(self.steps))

    def _repr_html_(self) -> str:
        return svg(self.steps)


class Place:
    """Behind a step."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def to(self, step: Any, name: str = "", after: Any = None, **arguments: Any) -> Place:
        return self.graph.to(step, name, after or self.name, **arguments)

    def __repr__(self) -> str:
        return repr(self.graph)

    def _repr_html_(self) -> str:
        return self.graph._repr_html_()


class Picture:
    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_svg_(self) -> str:
        return self.text

    def save(self, path: Any) -> None:
        from pathlib import Path

        Path(path).write_text(self.text, encoding="utf-8")


def _loose(steps: Sequence[Step]) -> bool:
    """Whether a branch waits for the step that takes it up."""
    try:
        parents(steps)
    except FeatureError:
        return True
    return False


def _connected(steps: Sequence[Step]) -> None:
    """:raises FeatureError: when one comes after what is not there. Branches may still be open."""
    seen = {START}
    for step in steps:
        unknown = [name for name in step.after if name not in seen]
        if unknown:
            raise FeatureError(f"there is no step {unknown[0]!r} to come after", why=f"steps are {', '.join(seen - {START}) or 'none'}", next_step="name one of these")
        seen.add(step.name)


def svg(steps: Sequence[Step]) -> str:
    """Boxes from above to below, branches beside each other, in the colours of the page."""
    above: dict[str, tuple[str, ...]] = {}
    before = START
    for one in steps:
        above[one.name], before = one.after or (before,), one.name
    level = {START: 0}
    for name, after in above.items():
        level[name] = 1 + max(level[each] for each in after)
    rows: dict[int, list[str]] = {}
    for name, at in level.items():
        rows.setdefault(at, []).append(name)
    wide, high, gap = 300, 46, 26
    total = max(len(names) for names in rows.values()) * (wide + 24)
    place: dict[str, tuple[float, float]] = {}
    for at, names in rows.items():
        left = (total - len(names) * (wide + 24)) / 2 + 12
        for number, name in enumerate(names):
            place[name] = (left + number * (wide + 24), 8 + at * (high + gap))
    said = {one.name: (one.name, _cut(_inside(one), 46)) for one in steps}
    said[START] = (START, "rows as they come")
    parts = []
    for name, after in above.items():
        x, y = place[name]
        for each in after:
            a, b = place[each]
            parts.append(f'<path d="M{a + wide / 2} {b + high} C{a + wide / 2} {b + high + gap / 2} {x + wide / 2} {y - gap / 2} {x + wide / 2} {y - 1}" fill="none" stroke="currentColor" stroke-opacity=".45"/>'
                         f'<path d="M{x + wide / 2 - 3.5} {y - 7} h7 l-3.5 6 z" fill="currentColor" fill-opacity=".6"/>')
    for name, (x, y) in place.items():
        title, text = said[name]
        dashed = ' stroke-dasharray="4 3"' if name == START else ""
        parts.append(f'<g><title>{escape(title)}: {escape(said[name][1])}</title><rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="6" fill="currentColor" fill-opacity=".05" stroke="currentColor" stroke-opacity=".35"{dashed}/>'
                     f'<text x="{x + 12}" y="{y + 19}" font-weight="600">{escape(_cut(title, 38))}</text><text x="{x + 12}" y="{y + 36}" opacity=".7" font-size="11">{escape(text)}</text></g>')  # fmt: skip
    tall = 8 + len(rows) * (high + gap)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{tall}" viewBox="0 0 {total} {tall}" style="max-width:100%;color:var(--jp-content-font-color1,currentColor)" fill="currentColor" '
        f'font-family="var(--jp-ui-font-family,system-ui,sans-serif)" font-size="13" role="img" aria-label="{escape(" → ".join(above) or "no steps")}">{"".join(parts)}</svg>'
    )


def _inside(step: Step) -> str:
    """The arguments, and the kind where the name does not say it."""
    made = built(step)
    given = {key: value for key, value in made._args.items() if value not in ({}, [], "", False)}
    text = str(next(iter(given.values()))) if len(given) == 1 else ", ".join(f"{key} {value}" for key, value in given.items())
    text = text.replace("{", "").replace("}", "").replace("'", "")
    return text if step.name.startswith(step.kind) else f"{step.kind}: {text}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
