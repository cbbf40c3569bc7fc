"""``%%mlrun features``: a cell whose rows go into a feature set.

The cell becomes a function as any other: what it leaves is the source, and behind it stand the lines that define the set and ingest. So the
function says all by itself, runs anywhere, and can be run again on a schedule.
"""

from __future__ import annotations

import argparse
import ast

from mlrun_jupyter.errors import DefinitionError, MLRunInvalidArgumentError
from mlrun_jupyter.model.features import PARTS, POLICIES, aggregation
from mlrun_jupyter.model.names import check_label

ROWS = "_rows"


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a set is, and how rows go into it."""
    parser.add_argument("features", metavar="NAME")
    parser.add_argument("--entity", "-e", action="append", default=[], metavar="COLUMN[:TYPE]", help="a key column; several make a composite key. Without one, the set that is defined already is taken")
    parser.add_argument("--timestamp", "-T", default="", metavar="COLUMN", help="the time of the event")
    parser.add_argument("--known-at", default="", metavar="COLUMN", help="the time at which a row was known")
    parser.add_argument("--ttl", default="", metavar="24h", help="how old a row may be to be joined or served")
    parser.add_argument("--aggregate", "-a", action="append", default=[], metavar="COLUMN:avg,max:1h,24h[:10m]", help="windows over a column, for each entity: operations, windows, and the period by which they slide")
    parser.add_argument("--label-column", default="", metavar="COLUMN", help="what a model is to predict")
    parser.add_argument("--schema-policy", default="refuse", choices=POLICIES, help="what becomes of rows with other columns than the table")
    parser.add_argument("--partition-by", default="", choices=PARTS, help="files are parted by this of the time")
    parser.add_argument("--owner", default="", metavar="NAME", help="who answers for the set")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--append", action="store_true", help="the rows are added to those that are there; else they replace them, and a cell that is executed twice does no harm")
    how.add_argument("--upsert", action="store_true", help="rows of the same keys and time are replaced, the others added")


def complete(options: argparse.Namespace, body: str) -> str:
    """The body with the lines that define the set and ingest what it leaves.

    :raises DefinitionError: when the cell leaves no rows.
    :raises MLRunInvalidArgumentError: for options that do not go together.
    """
    name = check_label(options.features, "feature set")
    text, rows = leaves(body, name)
    defined = {
        "entities": [_entity(word) for word in options.entity], "timestamp_key": options.timestamp, "known_at": options.known_at, "ttl": options.ttl,
        "label_column": options.label_column, "schema_policy": options.schema_policy if options.schema_policy != "refuse" else "",
        "partition_by": options.partition_by, "owner": options.owner, "description": options.description,
        "labels": dict(word.partition("=")[::2] for word in options.label),
    }  # fmt: skip
    given = {key: value for key, value in defined.items() if value}
    if given and not options.entity:
        raise MLRunInvalidArgumentError(
            f"the feature set {name!r} has no entity", why=f"--{next(iter(given)).replace('_key', '').replace('_', '-')} defines it anew, and rows belong to an entity", next_step="add --entity COLUMN"
        )  # fmt: skip
    lines = ["import mlrun_jupyter.feature_store as _fstore", ""]
    if given:
        arguments = ", ".join(f"{key}={_code(value) if key == 'entities' else repr(value)}" for key, value in given.items())
        lines.append(f"_set = _fstore.FeatureSet({name!r}, {arguments})")
    else:
        if options.aggregate:
            raise MLRunInvalidArgumentError(f"the feature set {name!r} has no entity", why="--aggregate defines it anew", next_step="add --entity COLUMN and --timestamp COLUMN")
        lines.append(f"_set = _fstore.get_feature_set({name!r})")
    lines += [f"_set.add_aggregation({', '.join(map(repr, _aggregation(word)))})" for word in options.aggregate]
    # earlier rows stay readable as versions of the table
    mode = ", upsert=True" if options.upsert else "" if options.append else ", overwrite=True"
    lines += [f"_ = _set.ingest({rows}{mode})", "_set"]
    return text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"


def leaves(body: str, name: str) -> tuple[str, str]:
    """The body, and the expression for the rows that it leaves: its last expression, the last name that it sets, or what its last function gives."""
    try:
        tree = ast.parse(body)
    except SyntaxError:
        # who defines the function reads it again and says where
        return body, ROWS
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        lines = body.split("\n")
        # columns are counted in bytes
        head = lines[last.lineno - 1].encode()[: last.col_offset].decode()
        rest = "\n".join([lines[last.lineno - 1][len(head) :], *lines[last.lineno :]])
        return "\n".join([*lines[: last.lineno - 1], f"{head}{ROWS} = {_closed(rest)}"]), ROWS
    if isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name):
        return body, last.targets[0].id
    if isinstance(last, ast.AnnAssign) and isinstance(last.target, ast.Name):
        return body, last.target.id
    if isinstance(last, ast.FunctionDef) and not (last.args.args or last.args.posonlyargs or last.args.kwonlyargs):
        return body, f"{last.name}()"
    raise DefinitionError(
        f"the cell leaves no rows for {name!r}", why="its last line is neither a frame nor a function without arguments that gives rows",
        next_step="end the cell with the frame, with `name = …`, or with a generator function of rows",
    )  # fmt: skip


def _closed(text: str) -> str:
    """Without the semicolon that hides a cell's value."""
    return text.rstrip().removesuffix(";")


def _entity(word: str) -> tuple[str, str]:
    column, _, kind = word.partition(":")
    return column, kind


def _code(entities: list[tuple[str, str]]) -> str:
    return "[" + ", ".join(f"_fstore.Entity({name!r}, {kind!r})" if kind else repr(name) for name, kind in entities) + "]"


def _aggregation(word: str) -> tuple[object, ...]:
    parts = word.split(":")
    if not 3 <= len(parts) <= 4 or not all(parts):
        raise MLRunInvalidArgumentError(f"--aggregate {word} cannot be read", why="it is COLUMN:OPERATIONS:WINDOWS[:PERIOD]", next_step="write for example --aggregate delay:avg,max:1h,24h:10m")
    column, operations, windows, period = parts[0], parts[1].split(","), parts[2].split(","), "".join(parts[3:])
    aggregation(column, operations, windows, period)
    return (column, operations, windows, *([period] if period else []))
