"""A cell as Python: IPython's own syntax becomes calls, and every line keeps its number."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

CODE = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun"})
_HEAD = re.compile(r"%%(?P<name>[^\s(]+)[ \t]*(?P<rest>.*)")
_TIMED = re.compile(r"^(?P<indent>[ \t]*)%time[ \t]+(?P<statement>[^-\s].*)$")
_TARGET = re.compile(r"(?:--no-(?:stdout|stderr|display)\s+)*(?P<name>[^\W\d]\w*)\s*$")


@dataclass(frozen=True)
class Cell:
    """A cell that was executed.

    :param number: its execution count.
    :param ok: whether it ran to its end.
    """

    number: int
    source: str
    ok: bool = True


@dataclass(frozen=True)
class Prepared:
    """``text`` is what Python parses, ``raw`` what the author wrote; line N of one is line N of the other."""

    tree: ast.Module
    text: str
    raw: str
    magic: str


def parse(source: str) -> tuple[ast.Module, str]:
    """The tree of a cell and the text it was parsed from.

    The text has the lines of the source: line N of the tree is line N of the cell. The bodies of ``%%time``,
    ``%%timeit`` and ``%%capture`` are code; a cell of any other cell magic is one call that binds nothing.

    :raises SyntaxError: when it is not Python, even so.
    """
    prepared = prepare(source)
    return prepared.tree, prepared.text


def magic(source: str) -> str:
    """The name of the cell magic that the cell starts with, or nothing."""
    found = _HEAD.match(source.lstrip("\n\r\t "))
    return found["name"] if found else ""


@lru_cache(maxsize=512)
def prepare(source: str) -> Prepared:
    """Like :func:`parse`, with the author's text beside it."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    name = magic(source)
    first = ""
    skipped = 0
    while name and skipped < len(lines):
        head = _HEAD.match(lines[skipped].strip())
        if head is None and lines[skipped].strip():
            break
        if head is not None and head["name"] not in CODE:
            text = "\n" * skipped + f"get_ipython().run_cell_magic({head['name']!r}, {head['rest']!r}, ''){first}"
            text += "\n" * (len(lines) - skipped - 1)
            return Prepared(_tree(text), text, "\n".join(lines), name)
        if head is not None and head["name"] == "capture" and (target := _TARGET.match(head["rest"])) is not None:
            first += f"; {target['name']} = get_ipython().captured"
        skipped += 1
    rest = lines[skipped:]
    clean = _clean(rest)
    # `%time x = f()` binds x in the notebook, as the statement alone does
    changed = _transform([_TIMED.sub(r"\g<indent>\g<statement>", line) for line in clean])
    start = [""] * skipped
    if first:
        start[0] = first.removeprefix("; ")
    text = "\n".join(start + changed)
    return Prepared(_tree(text), text, "\n".join(lines[:skipped] + clean), name)


def _tree(text: str) -> ast.Module:
    return compile(text + "\n", "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)  # type: ignore[no-any-return]


def _clean(lines: list[str]) -> list[str]:
    """Without the indent and the prompts that all lines share."""
    from IPython.core import inputtransformer2 as ipython

    work = [line + "\n" for line in lines]
    filled = next((n for n, line in enumerate(work) if line.strip()), len(work))
    head, work = work[:filled], work[filled:]
    if work:
        for step in (ipython.leading_indent, ipython.classic_prompt, ipython.ipython_prompt):
            done = step(work)
            work = done if len(done) == len(work) else work
    return ["" for _ in head] + [line.removesuffix("\n") for line in work]


def _transform(lines: list[str]) -> list[str]:
    from IPython.core.inputtransformer2 import TransformerManager

    manager = TransformerManager()
    work = [line + "\n" for line in lines]
    for _ in range(1000):
        before = work
        try:
            changed, work = manager.do_one_token_transform(before)
        except SyntaxError:
            return [line.removesuffix("\n") for line in before]
        if not changed:
            break
        work = [part for line in work for part in line.splitlines(keepends=True)]
        lost = len(before) - len(work)
        if lost > 0:
            at = next((n for n, (old, new) in enumerate(zip(before, work, strict=False)) if old != new), len(work) - 1)
            work = work[: at + 1] + ["\n"] * lost + work[at + 1 :]
    return [line.removesuffix("\n") for line in work]
