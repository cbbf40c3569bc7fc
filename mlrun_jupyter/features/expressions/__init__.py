"""A small language over the columns of a row, in Python's syntax. It is parsed and checked, never given to Python.

``distance / air_time * 60``, ``dep_delay > 15 and carrier in ('UA', 'AA')``, ``lower(strip(name))``, ``0 if is_nan(x) else x``,
``hour(time_hour)``, ``seconds(arrival - departure) / 60``; ``col('from')`` for a column whose name is a word of Python.

One text, two evaluations with exactly equal results: :attr:`Expression.column` over columns, :attr:`Expression.value` of one row.

- Null (``None``) makes what it stands in null. ``and`` and ``or`` know three values: ``None or True`` is true. ``a if c else b`` is ``b`` where c is null.
- Integers have 64 bits and wrap around. ``/`` and ``**`` give floats. ``//`` and ``%`` round down; of integers by zero they are null.
- Floats are IEEE 754: division by zero is infinite or NaN, comparisons with NaN are false but ``!=``.
- Texts are of Unicode characters, compared by their numbers. Times are in UTC.
"""

from __future__ import annotations

import ast
import difflib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NoReturn

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.features.expressions import operators
from mlrun_jupyter.features.expressions.functions import FUNCTIONS
from mlrun_jupyter.features.expressions.nodes import KINDS, Misfit, Node, dtype_of, kind_of

LENGTH, DEPTH = 10_000, 60


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    :ivar column: a :class:`polars.Expr`.
    :ivar value: takes a row, with the values that its columns have, and returns the same as the column does.
    :ivar dtype: the polars type of the result.
    :ivar needs: the columns that it reads.
    """

    text: str
    kind: str
    dtype: Any
    column: Any = field(repr=False)
    value: Callable[[Mapping[str, Any]], Any] = field(repr=False)
    needs: tuple[str, ...] = ()


def compile(text: str, schema: Mapping[str, Any]) -> Expression:  # noqa: A001
    """Read an expression over columns of these polars types.

    :raises FeatureError: showing the place in the text: what cannot be read, unknown names with the nearest ones, kinds that do not fit.
    """
    reader = _Reader(text, schema)
    node = reader.read()
    if node.kind == "null":
        raise FeatureError(f"the expression {text!r} is always null", next_step="name a column in it")
    return Expression(text, node.kind, dtype_of(node.kind), node.column, node.value, tuple(sorted(reader.needs)))


def condition(text: str, schema: Mapping[str, Any]) -> Expression:
    """An expression that is true or false.

    :raises FeatureError: also when it is not.
    """
    found = compile(text, schema)
    if found.kind != "bool":
        raise FeatureError(f"{text!r} is no condition", why=f"its value is {found.kind}", next_step="compare it, as in `x > 0`")
    return found


class _Reader:
    def __init__(self, text: str, schema: Mapping[str, Any]) -> None:
        self.given = text
        self.schema = schema
        # Python's parser writes names in their compatibility form
        self.names = {unicodedata.normalize("NFKC", name): name for name in schema}
        self.needs: set[str] = set()
        self.text = ""

    def read(self) -> Node:
        if not isinstance(self.given, str) or not self.given.strip():
            raise FeatureError("an expression is a text", why=f"this is {self.given!r}", next_step="write for example 'distance / air_time'")
        if len(self.given) > LENGTH:
            raise FeatureError("the expression is too long", why=f"it has more than {LENGTH} characters", next_step="divide it into several columns")
        self.text = " ".join(self.given.strip().splitlines())
        try:
            tree = ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            self._fail(f"it does not parse: {error.msg}", (error.offset or 1) - 1)
        except (ValueError, RecursionError, MemoryError) as error:
            self._fail(f"it does not parse: {error or type(error).__name__}", 0)
        return self._node(tree, 0)

    def _fail(self, why: str, at: int, next_step: str = "") -> NoReturn:
        shown = self.text if len(self.text) <= 200 else self.text[max(0, at - 100) : at + 100]
        marker = " " * (at if len(self.text) <= 200 else min(at, 100)) + "^"
        raise FeatureError(
            "the expression cannot be used", why=f"{why}\n         {shown}\n         {marker}", next_step=next_step or "correct it there"
        )  # fmt: skip

    def _at(self, tree: ast.AST) -> int:
        # Python counts bytes
        return len(self.text.encode()[: getattr(tree, "col_offset", 0)].decode(errors="ignore"))

    def _node(self, tree: ast.AST, depth: int) -> Node:
        if depth > DEPTH:
            self._fail("it is nested too deeply", self._at(tree), "divide it into several columns")
        try:
            return self._build(tree, depth + 1)
        except Misfit as misfit:
            self._fail(misfit.why, self._at(tree), misfit.next_step)

    def _build(self, tree: ast.AST, depth: int) -> Node:  # noqa: RET503
        match tree:
            case ast.Constant(value=value):
                return operators.literal(value)
            case ast.Name(id=name):
                return self._column(name, tree)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                if isinstance(operand, ast.Constant) and type(operand.value) is int:
                    return operators.literal(-operand.value)
                return operators.negative(self._node(operand, depth))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return operators.negation(self._node(operand, depth))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in operators.SIGNS:
                return operators.arithmetic(operators.SIGNS[type(op)], self._node(left, depth), self._node(right, depth))
            case ast.BoolOp(op=word, values=parts):
                join = operators.conjunction if isinstance(word, ast.And) else operators.disjunction
                found = self._node(parts[0], depth)
                for each in parts[1:]:
                    found = join(found, self._node(each, depth))
                return operators.truth(found, "and")
            case ast.Compare():
                return self._compare(tree, depth)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return operators.choice(*(self._node(one, depth) for one in (test, body, orelse)))
            case ast.Call():
                return self._call(tree, depth)
        self._fail(f"{type(tree).__name__} is not of the language", self._at(tree), f"use operators, if-else, in, and {', '.join(sorted(FUNCTIONS))}")

    def _column(self, name: str, tree: ast.AST) -> Node:
        known = self.names.get(unicodedata.normalize("NFKC", name))
        if known is None:
            near = difflib.get_close_matches(name, self.names, 3)
            self._fail(
                f"there is no column {name!r}", self._at(tree),
                f"did you mean {' or '.join(near)}?" if near else f"columns are {', '.join(list(self.names)[:12])}",
            )  # fmt: skip
        dtype = self.schema[known]
        kind = kind_of(dtype)
        if kind not in KINDS:
            self._fail(f"{known!r} is {dtype}, which expressions do not take", self._at(tree), "use a column of numbers, texts, times or truth values")
        import polars as pl

        self.needs.add(known)
        column = pl.col(known)
        return Node(kind, column if dtype == dtype_of(kind) else column.cast(dtype_of(kind)), itemgetter(known))

    def _compare(self, tree: ast.Compare, depth: int) -> Node:
        found: Node | None = None
        left = self._node(tree.left, depth)
        for op, right_tree in zip(tree.ops, tree.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                if not isinstance(right_tree, ast.Tuple | ast.List | ast.Set):
                    raise Misfit("in takes a list of values", "write `x in ('a', 'b')`; contains(text, 'part') looks into a text")
                made = operators.within(left, [self._node(each, depth) for each in right_tree.elts], isinstance(op, ast.In))
                right = left
            elif isinstance(op, ast.Is | ast.IsNot):
                if not (isinstance(right_tree, ast.Constant) and right_tree.value is None):
                    raise Misfit("is takes None alone", "compare with ==")
                made, right = operators.missing(left, isinstance(op, ast.Is)), left
            else:
                right = self._node(right_tree, depth)
                made = operators.comparison(operators.SIGNS[type(op)], left, right)
            found = made if found is None else operators.conjunction(found, made)
            left = right
        assert found is not None
        return found

    def _call(self, tree: ast.Call, depth: int) -> Node:
        if not isinstance(tree.func, ast.Name) or tree.keywords:
            raise Misfit("functions are called by their name, with values in order", "write for example lower(name)")
        name = tree.func.id
        if name == "col":
            if len(tree.args) == 1 and isinstance(tree.args[0], ast.Constant) and isinstance(tree.args[0].value, str):
                return self._column(tree.args[0].value, tree.args[0])
            raise Misfit("col takes the name of a column in quotes")
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(name, FUNCTIONS, 3)
            raise Misfit(f"there is no function {name!r}", f"did you mean {' or '.join(near)}?" if near else f"functions are {', '.join(sorted(FUNCTIONS))}")
        build, usage = FUNCTIONS[name]
        arguments = [self._node(each, depth) for each in tree.args]
        least, most = _arity(build)
        if not least <= len(arguments) <= most:
            raise Misfit(f"{name} takes {'at least ' if most > 20 else ''}{least} values, not {len(arguments)}", f"write {usage}")
        return build(*arguments)


def _arity(build: Callable[..., Node]) -> tuple[int, float]:
    code = build.__code__
    least = code.co_argcount - len(build.__defaults__ or ())
    return least, float("inf") if code.co_flags & 0x04 else code.co_argcount
