"""Parameters: declared, typed data. Never code.

A declaration is ``name``, ``name:type``, ``name=default`` or ``name:type=default``, where a type is one of ``int float
bool str list dict path datetime`` or the name of a class that the cell knows (a dataclass, a msgspec or a pydantic
type). A value is checked against its type before anything starts, and travels as JSON-able data.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import msgspec

from mlrun_jupyter.errors import ParameterError
from mlrun_jupyter.model.names import check_identifier

BASIC = ("int", "float", "bool", "str", "list", "dict", "path", "datetime")
_ALIASES = {
    "integer": "int", "number": "float", "boolean": "bool", "string": "str", "array": "list", "object": "dict",
    "tuple": "list", "Path": "path", "pathlib.Path": "path", "datetime.datetime": "datetime", "date": "datetime",
    "List": "list", "Dict": "dict", "Any": "", "typing.Any": "", "None": "",
}  # fmt: skip
_JSON_TYPES: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "list": {"type": "array"},
    "dict": {"type": "object"},
    "path": {"type": "string", "format": "path"},
    "datetime": {"type": "string", "format": "date-time"},
}
INT64 = 2**63
NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""Floats that JSON cannot hold, as they are stored and sent."""


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter of a function.

    :param name: a Python identifier.
    :param type: one of :data:`BASIC`, the name of a class, or ``""`` for any JSON-able value.
    :param default: the default as data; meaningful only when ``required`` is false.
    :param required: whether a run must give it.
    :param doc: one line for people.
    :param optional: whether ``None`` is accepted besides the type.
    :param schema: the JSON Schema of a class type, when it is known.
    """

    name: str
    type: str = ""
    default: Any = None
    required: bool = False
    doc: str = ""
    optional: bool = False
    schema: dict[str, Any] = {}

    @property
    def literal(self) -> bool:
        """Whether the value in the notebook is the value itself, with nothing to convert."""
        return self.type in ("", "int", "float", "bool", "str", "list", "dict")


def basic_type(annotation: str) -> tuple[str, bool]:
    """The parameter type of an annotation's text, and whether it allows ``None``: ``int?``, ``int | None``, ``Optional[int]``."""
    text = annotation.strip().strip("'\"")
    optional = text.endswith("?")
    text = text.removesuffix("?").rstrip()
    if text.startswith(("Optional[", "typing.Optional[")) and text.endswith("]"):
        text, optional = text[text.index("[") + 1 : -1], True
    parts = [part.strip() for part in _split_union(text)]
    if len(parts) > 1 and "None" in parts:
        parts.remove("None")
        optional = True
    if len(parts) > 1:
        return "", optional
    text = parts[0]
    head = text.split("[", 1)[0]
    head = _ALIASES.get(head, head)
    return head, optional


def _split_union(text: str) -> list[str]:
    depth, parts, start = 0, [], 0
    for at, letter in enumerate(text):
        depth += letter in "[("
        depth -= letter in "])"
        if letter == "|" and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def declare(text: str) -> Parameter:
    """Read ``name[:type][=default]``.

    :raises ParameterError: when the default does not fit the type.
    :raises NameInvalidError: when the name is no identifier.
    """
    head, sign, default = text.partition("=")
    name, _, annotation = head.partition(":")
    check_identifier(name.strip())
    kind, optional = basic_type(annotation) if annotation.strip() else ("", False)
    parameter = Parameter(name=name.strip(), type=kind, optional=optional, required=not sign)
    if sign:
        value = read_text(parameter, default.strip())
        if not annotation.strip():
            parameter = msgspec.structs.replace(parameter, type=_type_of(value))
        parameter = msgspec.structs.replace(parameter, default=check_value(parameter, value))
    return parameter


def _type_of(value: Any) -> str:
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (list, "list"), (dict, "dict")):
        if isinstance(value, kind):
            return name
    return ""


def read_text(parameter: Parameter, text: str) -> Any:
    """A value typed on a command line, as data of the parameter's type. Only literals are read; nothing is evaluated."""
    kind = parameter.type
    if parameter.optional and text in ("None", "null"):
        return None
    if kind in ("str", "path", "datetime"):
        return _unquoted(text)
    if kind == "bool" and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    for reader in (json.loads, ast.literal_eval):
        try:
            value = reader(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return list(value) if isinstance(value, tuple | set | frozenset) else value
    if kind == "float":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
        if isinstance(value, str):
            return value
    return text


def check_value(parameter: Parameter, value: Any) -> Any:
    """The value as JSON-able data of the parameter's type.

    Whole floats are accepted as ``int`` and ints as ``float``; a text is never taken for a number, but for those of
    :data:`NOT_FINITE` where a float is expected.

    :raises ParameterError: naming the parameter, the type and what came.
    """
    if value is None and (parameter.optional or parameter.type == "" or (not parameter.required and parameter.default is None)):
        return None
    value = plain(value)
    fits, kind = True, parameter.type
    if isinstance(value, str) and value.startswith("secret://"):
        return value
    if kind == "int":
        if isinstance(value, float) and value.is_integer() and abs(value) < INT64:
            value = int(value)
        fits = isinstance(value, int) and not isinstance(value, bool)
        if fits and not -INT64 <= value < INT64:
            raise ParameterError(
                f"parameter {parameter.name!r} must be a 64-bit int",
                why=f"{value} does not fit",
                next_step="pass it as a str",
            )
    elif kind == "float":
        value = float(value) if value in NOT_FINITE else value
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if fits else value
    elif kind == "bool":
        fits = isinstance(value, bool)
    elif kind in ("str", "path"):
        fits = isinstance(value, str)
    elif kind == "list":
        fits = isinstance(value, list)
    elif kind == "dict":
        fits = isinstance(value, dict)
    elif kind == "datetime":
        fits = isinstance(value, str) and _is_datetime(value)
    if not fits:
        shown = repr(value)
        raise ParameterError(
            f"parameter {parameter.name!r} must be {_spoken(kind)}",
            why=f"got {shown if len(shown) <= 80 else shown[:77] + '…'} ({type(value).__name__})",
            next_step=f"pass {_example(kind)}",
        )
    if parameter.schema:
        _check_schema(parameter, value)
    return value


def _check_schema(parameter: Parameter, value: Any) -> None:
    # a second is saved where this grammar, for a URI check that no parameter needs, is not compiled
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import jsonschema

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(parameter.schema).iter_errors(value))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".")
        raise ParameterError(
            f"parameter {parameter.name!r} must be {_spoken(parameter.type)}",
            why=f"{where}: {error.message}" if where else error.message,
            next_step="pass a dict with its fields" if "properties" in str(parameter.schema) else "pass one of its values",
        )


def class_schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a class: pydantic's own, or msgspec's of dataclasses, structs, enums and the like; empty for others."""
    try:
        if hasattr(kind, "model_json_schema"):
            return dict(kind.model_json_schema())
        return msgspec.json.schema(kind)
    except (TypeError, ValueError, RecursionError):
        # no data class: values of it are checked by the run itself
        return {}


def _is_datetime(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def plain(value: Any, _depth: int = 0) -> Any:
    """The value as JSON-able data: dicts, lists, texts, numbers, bools, None.

    Paths become texts, times ISO texts in UTC, numpy scalars Python numbers, dataclasses, msgspec and pydantic
    objects dicts.

    :raises ParameterError: for anything else, such as a DataFrame.
    """
    if _depth > 100:
        raise ParameterError(
            "a parameter is nested too deeply",
            why="more than 100 levels, or it contains itself",
            next_step="pass a flatter structure, or a file as an input",
        )
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, int | float | str):
        # subclasses (enums with values, numpy.float64) are reduced to what they stand for
        kind = next(kind for kind in (int, float, str) if isinstance(value, kind))
        return kind(value.value) if hasattr(value, "value") else kind(value)
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise ParameterError(
                f"a dict among the parameters has the key {wrong[0]!r}",
                why="keys must be texts, since parameters are stored as JSON",
                next_step="use str keys",
            )
        return {str(key): plain(item, _depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [plain(item, _depth + 1) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, msgspec.Struct) or hasattr(type(value), "__dataclass_fields__"):
        kind = type(value)
        fields = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True) if isinstance(value, msgspec.Struct) else (
            (name, name) for name in kind.__dataclass_fields__)  # fmt: skip
        return {shown: plain(getattr(value, name), _depth + 1) for shown, name in fields}
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"), _depth + 1)
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return plain(value.item(), _depth + 1)
    if hasattr(value, "value") and hasattr(type(value), "__members__"):
        return plain(value.value, _depth + 1)
    raise ParameterError(
        f"a value of type {type(value).__name__} cannot be a parameter",
        why="parameters are numbers, texts, bools, lists, dicts, paths, times or dataclass-like objects",
        next_step="pass data as an input: store it as a file or artifact and give its path or URI",
    )


def bind(
    declared: Iterable[Parameter], given: Mapping[str, Any], *, function: str, open_ended: bool = False
) -> dict[str, Any]:
    """All parameters of a run: what was given, checked, and the defaults of the rest.

    :param open_ended: whether names beyond the declared ones are accepted (the handler has ``**kwargs``).
    :raises ParameterError: for an unknown name (with the nearest ones), a missing or an ill-typed value.
    """
    table = {parameter.name: parameter for parameter in declared}
    bound: dict[str, Any] = {}
    for name, value in given.items():
        if name not in table:
            if open_ended:
                bound[check_identifier(name)] = plain(value)
                continue
            near = difflib.get_close_matches(str(name), table, n=3)
            raise ParameterError(
                f"function {function!r} has no parameter {name!r}",
                why=f"its parameters are {', '.join(table)}" if table else "it takes no parameters",
                next_step=f"did you mean {' or '.join(near)}?" if near else "declare it with --param, or leave it out",
            )
        bound[name] = check_value(table[name], value)
    missing = [name for name, parameter in table.items() if parameter.required and name not in bound]
    if missing:
        raise ParameterError(
            f"function {function!r} needs {'the parameter' if len(missing) == 1 else 'the parameters'} {', '.join(missing)}",
            why="they have no default and none was given",
            next_step=" ".join(f"{name}=…" for name in missing) + " has to be passed",
        )
    for name, parameter in table.items():
        bound.setdefault(name, parameter.default)
    return bound


def json_schema(declared: Iterable[Parameter]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an object that holds the parameters."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    required: list[str] = []
    for parameter in declared:
        entry: dict[str, Any] = dict(parameter.schema or _JSON_TYPES.get(parameter.type, {}))
        # references count from the root
        definitions.update(entry.pop("$defs", {}))
        if parameter.optional and "type" in entry:
            entry["type"] = [entry["type"], "null"]
        if parameter.doc:
            entry["description"] = parameter.doc
        if parameter.required:
            required.append(parameter.name)
        else:
            entry["default"] = parameter.default
        properties[parameter.name] = entry
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    if definitions:
        schema["$defs"] = definitions
    return schema


def literal(value: Any) -> str:
    """Python source of the data: a literal, whatever quotes, newlines or unicode it holds."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return repr(value)


def _spoken(kind: str) -> str:
    return {"int": "an int", "path": "a path (text)", "datetime": "an ISO 8601 time"}.get(kind, f"{'an' if kind[:1] in 'AEIOaeio' else 'a'} {kind}")


def _example(kind: str) -> str:
    return {
        "int": "a whole number such as 200", "float": "a number such as 0.5", "bool": "true or false",
        "str": "a text (quoted in Python)", "list": "a list such as [1, 2]", "dict": 'a dict such as {"a": 1}',
        "path": "a path as text", "datetime": "a time such as 2026-01-31T12:00:00Z",
    }.get(kind, f"a value that {kind} accepts")  # fmt: skip
