"""A function version: code, parameters, inputs and outputs under the hash of their content."""

from __future__ import annotations

from typing import Any

import msgspec

from mlrun_jupyter.errors import NameInvalidError
from mlrun_jupyter.model.canonical import content_hash
from mlrun_jupyter.model.names import check_identifier
from mlrun_jupyter.model.parameters import Parameter, json_schema

KINDS = ("job", "local", "handler", "dask")
CACHE = "mlrun/cache"
"""Label of a function whose runs ask the cache (``true``)."""
INPUT_TYPES = ("", "DataFrame", "dask", "DataItem", "path", "str", "bytes", "object")
ARTIFACT_TYPES = ("result", "dataset", "model", "plot", "file", "path", "object", "artifact", "table", "dir")


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """Data that a function reads.

    :param name: the variable that holds it.
    :param type: how it arrives: ``""`` by its content (a DataFrame for tables, the stored object for an artifact that
        a packager made, else a ``DataItem``), or one of :data:`INPUT_TYPES`, or a class name for a handler.
    :param default: path or URI that is read when a run names no other; relative paths count from the notebook's folder.
    :param required: whether a run must name it.
    """

    name: str
    type: str = ""
    default: str = ""
    required: bool = False
    doc: str = ""


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that a function must leave behind: its name and, if not by the value's type, its artifact type."""

    name: str
    type: str = ""


class CodeCell(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cell of the function notebook. ``role`` is ``closure``, ``body`` or ``source`` (a module's text)."""

    source: str
    role: str = "body"


class Code(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is executed: cells, and the handler to call after them, if any."""

    cells: tuple[CodeCell, ...] = ()
    handler: str = ""
    command: str = ""
    """A script that runs as a program instead, with ``{parameter}`` filled in."""
    source: str = ""
    """Where ``handler`` is imported from, when it is a git or archive source: URL with a resolved commit or digest."""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a version was defined. Not part of its hash."""

    notebook: str = ""
    cell: int = 0
    commit: str = ""
    host: str = ""
    session: str = ""


class Function(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of a function. Equal code and spec give an equal :attr:`hash`, in whatever project."""

    name: str
    project: str = ""
    kind: str = "job"
    description: str = ""
    code: Code = Code()
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[Input, ...] = ()
    returns: tuple[Output, ...] = ()
    open_ended: bool = False
    """The handler has ``**kwargs``: parameters beyond the declared ones are passed on."""
    files: dict[str, str] = {}
    """Bundled modules: relative path to SHA-256."""
    packages: tuple[str, ...] = ()
    """Top-level modules that the code imports."""
    requirements: tuple[str, ...] = ()
    env: dict[str, str] = {}
    resources: dict[str, Any] = {}
    timeout: float | None = None
    """Seconds that a run may take in all; ``None``: no limit."""
    retries: int = 0
    """How often the body is tried again after an error."""
    labels: dict[str, str] = {}
    image: str = ""
    """Container image, for executors that start containers."""
    origin: Origin = Origin()
    created: str = ""

    @property
    def hash(self) -> str:
        """Forty hexadecimal digits over code and spec (not over project, origin or time)."""
        return content_hash(msgspec.structs.replace(self, project="", origin=Origin(), created=""))

    @property
    def work_hash(self) -> str:
        """The hash without what only says whether the cache is asked: versions of the same work have the same."""
        labels = {key: value for key, value in self.labels.items() if key != CACHE}
        return msgspec.structs.replace(self, labels=labels).hash if len(labels) < len(self.labels) else self.hash

    @property
    def uri(self) -> str:
        """``<project>/<name>@<hash>``."""
        return f"{self.project}/{self.name}@{self.hash}"

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters."""
        return json_schema(self.parameters)

    def takes(self, parameter: str) -> bool:
        """Whether a run may be given this parameter."""
        return self.open_ended or any(one.name == parameter for one in self.parameters)

    @property
    def body(self) -> str:
        """The text of the body cells."""
        return "\n".join(cell.source for cell in self.code.cells if cell.role != "closure")


def declare_input(text: str) -> Input:
    """Read ``name[:type][=path or URI]``."""
    head, sign, default = text.partition("=")
    name, _, kind = head.partition(":")
    return Input(
        name=check_identifier(name.strip(), "input"), type=kind.strip(), default=_unquote(default.strip()), required=not sign
    )


def declare_outputs(text: str | list[Any] | tuple[Any, ...] | None) -> tuple[Output, ...]:
    """Read ``a,b:dataset,c:model``, or a list of such texts and of MLRun's ``{key, artifact_type}`` hints."""
    if not text:
        return ()
    hints = [part for part in text.split(",") if part.strip()] if isinstance(text, str) else list(text)
    outputs: list[Output] = []
    for hint in hints:
        if isinstance(hint, Output):
            outputs.append(hint)
            continue
        if hint is None:
            outputs.append(Output(name=""))
            continue
        if isinstance(hint, dict):
            name, kind = str(hint.get("key", "")), str(hint.get("artifact_type") or "")
        else:
            name, _, kind = (part.strip() for part in str(hint).partition(":"))
        if kind and kind not in ARTIFACT_TYPES:
            raise NameInvalidError(
                f"output {name!r} has the unknown type {kind!r}",
                why=f"types are {', '.join(ARTIFACT_TYPES)}",
                next_step=f"write --returns {name}:dataset, or leave the type out to go by the value",
            )
        outputs.append(Output(name=name, type=kind))
    names = [output.name for output in outputs if output.name]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled:
        raise NameInvalidError(
            f"output {doubled!r} is declared twice", next_step="give each output a name of its own"
        )
    return tuple(outputs)


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text
