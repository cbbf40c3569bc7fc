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
from mlrun_jupyter.notebooks import feature_cells

COMMANDS = {
    "project": ("project NAME", "choose (or create) the project"),
    "run": ("run NAME[:tag|@hash] x=1 …", "run it again with other parameters; with --hyper x=1,2,3 with many of them: a sweep"),
    "runs": ("runs [NAME]", "the runs there are"),
    "functions": ("functions [NAME]", "the functions there are"),
    "artifacts": ("artifacts [NAME]", "the artifacts there are"),
    "models": ("models [NAME]", "the models there are"),
    "show": ("show UID", "a run"),
    "logs": ("logs UID", "what it printed"),
    "abort": ("abort UID", "end it"),
    "diff": ("diff A B", "code and spec of two versions"),
    "why": ("why UID", "why it was, or was not, given the outputs of an earlier run"),
    "replay": ("replay UID", "run it again exactly, and compare"),
    "resume": ("resume UID", "go on with a failed notebook at the cell that failed"),
    "compare": ("compare UID UID …", "what differs between runs"),
    "features": ("features [TEXT]", "the feature sets and vectors there are; features with the text in name or description"),
    "feature": ("feature NAME [stats|history|preview|dashboard]", "a feature set or vector; its statistics, versions, first rows, or dashboard"),
    "ingest": ("ingest NAME [PATH] [--upsert|--overwrite|--incremental]", "rows into a feature set, from a file or its own source"),
}
"""The commands of ``%mlrun``: how each is written, and what for."""


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
    _add_parts(parser)
    parser.add_argument("--returns", "-r", default="", metavar="A,B:dataset,C:model", help="what the cell leaves behind; numbers become results, all else artifacts")
    parser.add_argument("--label", "-l", action="append", default=[], metavar="KEY=VALUE", help="a label of the run, to find it by")
    parser.add_argument("--description", default="", metavar="TEXT", help="what the function is for")
    parser.add_argument("--kind", default="job", choices=("job", "dask"), help="dask: runs on Dask, and computes there with context.dask_client")
    _add_manner(parser)
    parser.add_argument("--cache", action="store_true", help="give an earlier run's outputs where nothing has changed")
    add_sweep_options(parser)
    return parser


def features_parser() -> LineParser:
    """Options of ``%%mlrun features``."""
    parser = LineParser(prog="%%mlrun features", add_help=False, allow_abbrev=False)
    feature_cells.add_options(parser)
    _add_parts(parser)
    parser.add_argument("--label", "-l", action="append", default=[], metavar="KEY=VALUE", help="a label of the set, to find it by")
    parser.add_argument("--description", default="", metavar="TEXT", help="what the set is")
    _add_manner(parser)
    return parser


def read_cell(words: list[str], body: str) -> tuple[argparse.Namespace, str]:
    """The options of a ``%%mlrun`` cell, and the code of the function that it is to become.

    ``options.features`` is the name of the feature set that the cell's rows go into, or empty.

    :param words: of the line and the options below it, as :func:`head` gives them.
    :raises MLRunInvalidArgumentError: for options that cannot be read.
    """
    if not is_features(words):
        options = cell_parser().parse_args(words)
        options.features = ""
        return options, body
    options = features_parser().parse_args(words[1:])
    body = feature_cells.complete(options, body)
    # the rest is a function's that leaves nothing but the rows of the set
    options.name, options.returns, options.kind, options.cache = f"{options.features}-ingest", "", "job", False
    options.set_labels, options.label = options.label, []
    for name, value in vars(_no_sweep()).items():
        setattr(options, name, value)
    return options, body


def is_features(words: list[str]) -> bool:
    """Whether the line is ``%%mlrun features NAME …``; without a name ``features`` is that of a function."""
    return len(words) > 1 and words[0] == "features" and not words[1].startswith("-")


def _no_sweep() -> argparse.Namespace:
    parser = LineParser(add_help=False)
    add_sweep_options(parser)
    return parser.parse_args([])


def _add_parts(parser: LineParser) -> None:
    parser.add_argument("--param", "-p", action="append", default=[], metavar="NAME[:TYPE][=DEFAULT]", help="a parameter; types: int float bool str list dict path datetime, or a class")
    parser.add_argument("--input", "-i", action="append", default=[], metavar="NAME[:TYPE][=PATH|URI]", help="data: a table arrives as a DataFrame; types: DataFrame DataItem path str bytes")
    parser.add_argument("--capture", "-c", action="append", default=[], metavar="NAME", help="take a value of the notebook along, stored as an artifact")
    parser.add_argument("--tag", "-t", default="", metavar="TAG", help="a name for this version beside latest")


def _add_manner(parser: LineParser) -> None:
    parser.add_argument("--executor", default="", metavar="NAME", help="where it runs: process (this machine), dask, or one that is installed")
    parser.add_argument("--resources", default="", metavar="cpu=2,memory=4GB", help="what it needs of the place where it runs")
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="among those that wait; the higher, the earlier")
    parser.add_argument("--timeout", type=float, default=None, metavar="SECONDS", help="after so many seconds it is ended")
    parser.add_argument("--retries", type=int, default=0, metavar="N", help="how often a failed run is tried again")
    parser.add_argument("--background", "-b", action="store_true", help="do not wait for it")
    parser.add_argument("--no-run", action="store_true", help="define the function only")


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``%%mlrun`` and ``%mlrun run`` that make it a sweep."""
    parser.add_argument("--hyper", "-x", action="append", default=[], metavar="NAME=1,2,3|LOW..HIGH[:STEP|:log]", help="a parameter that varies: a run for each value")
    parser.add_argument("--param-file", default="", metavar="CSV|JSON", help="the values of hyper-parameters, from a file")
    parser.add_argument("--strategy", default="", metavar="grid|list|random|optuna|custom", help="how values are combined or drawn")
    parser.add_argument("--max-runs", type=int, default=0, metavar="N", help="at most so many runs")
    parser.add_argument("--parallel", type=int, default=0, metavar="N", help="so many at a time")
    parser.add_argument("--selector", default="", metavar="[max.|min.]RESULT", help="which run is the best")
    parser.add_argument("--stop", default="", metavar="CONDITION", help="no more runs once one fulfils this, as in auc >= 0.93")
    parser.add_argument("--max-errors", type=int, default=None, metavar="N", help="give up after so many failures")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="makes draws of values repeatable")


def run_parser() -> LineParser:
    """Options of ``%mlrun run``."""
    parser = LineParser(prog="%mlrun run", add_help=False, allow_abbrev=False)
    parser.add_argument("function")
    parser.add_argument("params", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--input", "-i", action="append", default=[], metavar="NAME=PATH|URI", help="other data for an input")
    parser.add_argument("--label", "-l", action="append", default=[], metavar="KEY=VALUE", help="a label of the run, to find it by")
    parser.add_argument("--executor", default="", metavar="NAME", help="where it runs: process (this machine), dask, or one that is installed")
    parser.add_argument("--resources", default="", metavar="cpu=2,memory=4GB", help="what it needs of the place where it runs")
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="among those that wait; the higher, the earlier")
    parser.add_argument("--timeout", type=float, default=None, metavar="SECONDS", help="after so many seconds it is ended")
    parser.add_argument("--retries", type=int, default=None, metavar="N", help="how often a failed run is tried again")
    parser.add_argument("--background", "-b", action="store_true", help="do not wait for it")
    parser.add_argument("--cache", action=argparse.BooleanOptionalAction, default=None, help="give an earlier run's outputs where nothing has changed")
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
