"""Reading the lines of ``%%mlrun`` and ``%mlrun``: words, options, declarations."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
from collections.abc import Callable
from typing import Any, NoReturn

from mlrun_jupyter.errors import MLRunInvalidArgumentError, NameInvalidError
from mlrun_jupyter.model.function import CACHE
from mlrun_jupyter.model.resources import parse_resources


class LineParser(argparse.ArgumentParser):
    """An ``argparse`` parser that raises typed errors instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise MLRunInvalidArgumentError(f"{self.prog}: {message}", next_step=self.format_usage().strip())


def split(line: str) -> list[str]:
    """Words of a line, quotes obeyed.

    :raises MLRunInvalidArgumentError: for a quote that is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise MLRunInvalidArgumentError(
            "the line cannot be read", why=str(error), next_step="close the quotes: --param text:str='two words'"
        ) from error


def head(line: str, cell: str, expand: Callable[[str], str]) -> tuple[list[str], dict[str, str], str]:
    """The options of a ``%%mlrun`` cell: its first line, and the lines right below it that start with ``--``.

    ``--param trees:int=200  # how many trees`` documents the parameter.

    :param expand: fills in ``{name}`` and ``$name``, as IPython does by itself in the first line.
    :returns: the words, the documentation by parameter or input name, and the body. In the body the option lines are empty, so that every
        line keeps its number.
    :raises MLRunInvalidArgumentError: for a quote that is not closed.
    """
    lines = cell.split("\n")
    count = 0
    while count < len(lines) and (lines[count].startswith("--") or not lines[count].strip()):
        count += 1
    words: list[str] = []
    docs: dict[str, str] = {}
    for text in [line, *map(expand, lines[:count])]:
        found, doc = _commented(text)
        words.extend(found)
        if doc:
            docs.update(
                (re.split("[:=]", value, maxsplit=1)[0], doc)
                for option, value in itertools.pairwise(found)
                if option in ("--param", "-p", "--input", "-i")
            )
    return words, docs, "\n".join([""] * count + lines[count:])


def _commented(line: str) -> tuple[list[str], str]:
    """The words of a line, and the comment behind them."""
    for at, sign in enumerate(line):
        if sign == "#" and (at == 0 or line[at - 1].isspace()):
            try:
                return shlex.split(line[:at]), line[at + 1 :].strip()
            except ValueError:
                # this one stands between quotes
                continue
    return split(line), ""


def pairs(words: list[str], what: str) -> dict[str, str]:
    """``name=value`` words as a dict."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise NameInvalidError(f"{word!r} is no {what}", next_step=f"write {what}s as name=value")
        found[name] = value
    return found


def cell_parser() -> LineParser:
    """Options of ``%%mlrun``."""
    parser = LineParser(prog="%%mlrun", add_help=False, allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("--param", "-p", action="append", default=[], metavar="NAME[:TYPE][=DEFAULT]")
    parser.add_argument("--input", "-i", action="append", default=[], metavar="NAME[:TYPE][=PATH|URI]")
    parser.add_argument("--returns", "-r", default="", metavar="A,B:dataset,C:model")
    parser.add_argument("--capture", "-c", action="append", default=[], metavar="NAME")
    parser.add_argument("--tag", "-t", default="")
    parser.add_argument("--label", "-l", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--description", default="")
    parser.add_argument("--kind", default="job", choices=("job", "dask"))
    parser.add_argument("--executor", default="")
    parser.add_argument("--resources", default="", metavar="cpu=2,memory=4GB")
    parser.add_argument("--priority", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=None, metavar="SECONDS")
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("--background", "-b", action="store_true")
    parser.add_argument("--cache", action="store_true", help="give an earlier run's outputs where nothing has changed")
    parser.add_argument("--no-run", action="store_true", help="define the function only")
    add_sweep_options(parser)
    return parser


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``%%mlrun`` and ``%mlrun run`` that make it a sweep."""
    parser.add_argument("--hyper", "-x", action="append", default=[], metavar="NAME=1,2,3|LOW..HIGH[:STEP|:log]")
    parser.add_argument("--param-file", default="", metavar="CSV|JSON")
    parser.add_argument("--strategy", default="", metavar="grid|list|random|optuna|custom")
    parser.add_argument("--max-runs", type=int, default=0, metavar="N")
    parser.add_argument("--parallel", type=int, default=0, metavar="N")
    parser.add_argument("--selector", default="", metavar="[max.|min.]RESULT")
    parser.add_argument("--stop", default="", metavar="CONDITION")
    parser.add_argument("--max-errors", type=int, default=None, metavar="N")
    parser.add_argument("--seed", type=int, default=None, metavar="N")


def run_parser() -> LineParser:
    """Options of ``%mlrun run``."""
    parser = LineParser(prog="%mlrun run", add_help=False, allow_abbrev=False)
    parser.add_argument("function")
    parser.add_argument("params", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--input", "-i", action="append", default=[], metavar="NAME=PATH|URI")
    parser.add_argument("--label", "-l", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--executor", default="")
    parser.add_argument("--resources", default="", metavar="cpu=2,memory=4GB")
    parser.add_argument("--priority", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=None, metavar="SECONDS")
    parser.add_argument("--retries", type=int, default=None)
    parser.add_argument("--background", "-b", action="store_true")
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=None)
    add_sweep_options(parser)
    return parser


def function_fields(options: argparse.Namespace) -> dict[str, Any]:
    """What the options of ``%%mlrun`` say of the function itself, beside its parameters, inputs and outputs."""
    fields = {
        "description": options.description, "timeout": options.timeout, "retries": options.retries,
        "kind": options.kind, "resources": parse_resources(options.resources),
        "labels": {CACHE: "true"} if options.cache else {},
    }  # fmt: skip
    return {key: value for key, value in fields.items() if value}
