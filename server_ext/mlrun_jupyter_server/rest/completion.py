"""Words that complete a ``%%mlrun`` or ``%mlrun`` line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.schema import Completion, CompletionQuery, Completions

if TYPE_CHECKING:
    import argparse

MOST = 50
CHOICES = {
    "--strategy": {"grid": "all combinations", "list": "the values side by side", "random": "drawn", "optuna": "Optuna proposes", "custom": "a function of yours"},
    "--selector": {"max.": "the largest result of this name", "min.": "the smallest"},
}


def complete(core: Core, asked: CompletionQuery) -> Completions:
    """Words of a kind that begin with the prefix."""
    found = KINDS[asked.kind](core, asked)
    return Completions(tuple(one for one in found if one.text.startswith(asked.prefix))[:MOST])


def _project(core: Core, asked: CompletionQuery) -> str:
    return asked.project or core.session.settings.project


def _options(parser: argparse.ArgumentParser) -> list[Completion]:
    found = []
    for action in parser._actions:
        shape = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
        for option in action.option_strings:
            if option.startswith("--"):
                found.append(Completion(option, f"{option} {shape}: {action.help}" if shape else f"{option}: {action.help}"))
    return found


def _of_cells(core: Core, asked: CompletionQuery) -> list[Completion]:
    from mlrun_jupyter.notebooks.lines import cell_parser, features_parser

    return _options(features_parser() if asked.function == "features" else cell_parser())


def _of_runs(core: Core, asked: CompletionQuery) -> list[Completion]:
    from mlrun_jupyter.notebooks.lines import run_parser

    return _options(run_parser())


def _commands(core: Core, asked: CompletionQuery) -> list[Completion]:
    from mlrun_jupyter.notebooks.lines import COMMANDS

    return [Completion(name, f"%mlrun {line}: {what}") for name, (line, what) in COMMANDS.items()]


def _values(core: Core, asked: CompletionQuery) -> list[Completion]:
    """What may stand behind an option, or behind the colon of a declaration."""
    from mlrun_jupyter.model.function import ARTIFACT_TYPES
    from mlrun_jupyter.model.parameters import BASIC
    from mlrun_jupyter.notebooks.lines import cell_parser
    from mlrun_jupyter.registry import EXECUTORS

    if asked.option == "--executor":
        return [Completion(name, "an executor") for name in EXECUTORS.names()]
    if asked.option == "--param":
        return [Completion(name, "a type of parameters") for name in BASIC]
    if asked.option == "--input":
        return [Completion(name, "a type of inputs") for name in ("DataFrame", "DataItem", "path", "str", "bytes")]
    if asked.option == "--returns":
        return [Completion(name, "a type of outputs") for name in sorted(ARTIFACT_TYPES)]
    if asked.option in CHOICES:
        return [Completion(name, doc) for name, doc in CHOICES[asked.option].items()]
    choices = next((action.choices for action in cell_parser()._actions if asked.option in action.option_strings), None)
    return [Completion(str(one), asked.option) for one in choices or ()]


def _projects(core: Core, asked: CompletionQuery) -> list[Completion]:
    return [Completion(one.name, one.spec.description) for one in core.session.store.list_projects()]


def _functions(core: Core, asked: CompletionQuery) -> list[Completion]:
    """Names; behind a name with ``:`` or ``@`` the tags or the versions of that one."""
    from mlrun_jupyter.model.names import normal

    store, project = core.session.store, _project(core, asked)
    for sign in ":@":
        name, found, _ = asked.prefix.partition(sign)
        if found:
            rows = store.list_functions(project, normal(name))
            if sign == "@":
                return [Completion(f"{name}@{one.hash[:12]}", one.created) for one, _ in rows]
            return [Completion(f"{name}:{tag}", f"@{one.hash[:12]}") for one, tags in rows for tag in tags]
    names: dict[str, str] = {}
    for function, _ in store.list_functions(project):
        names.setdefault(function.name, function.description)
    return [Completion(name, doc) for name, doc in sorted(names.items())]


def _parameters(core: Core, asked: CompletionQuery) -> list[Completion]:
    """``name=`` for each parameter of a function."""
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter_server.rest.functions import find

    try:
        function = find(core, _project(core, asked), asked.function)
    except MLRunError:
        # nothing can be proposed for a name that is not there, and whoever types it is not to be troubled
        return []
    shown = [(one.name, one.type, "" if one.required else f" = {one.default!r}", one.doc) for one in function.parameters]
    return [Completion(f"{name}=", f"{name}: {kind or 'any'}{default}" + (f", {doc}" if doc else "")) for name, kind, default, doc in shown]


def _runs(core: Core, asked: CompletionQuery) -> list[Completion]:
    return [Completion(run.uid[:12], f"{run.name}, {run.state}, {run.created}") for run in core.session.store.list_runs(_project(core, asked), limit=MOST)]


def _artifacts(core: Core, asked: CompletionQuery) -> list[Completion]:
    rows = core.session.store.list_artifacts(_project(core, asked), limit=1000)
    uris = {artifact.uri().partition("@")[0].partition("#")[0]: artifact for artifact, _ in rows}
    return [Completion(uri, artifact.description or artifact.kind) for uri, artifact in uris.items()]


def _files(core: Core, asked: CompletionQuery) -> list[Completion]:
    return _paths(Path(core.root), asked.prefix)


def _paths(root: Path, prefix: str) -> list[Completion]:
    """What is in the folder that the prefix names, below the server's own; folders end with a slash."""
    head = prefix.rpartition("/")[0]
    folder = (root / head).resolve()
    if prefix.startswith("/") or not folder.is_relative_to(root.resolve()) or not folder.is_dir():
        return []
    try:
        names = sorted((entry.name, entry.is_dir()) for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        # a folder that may not be read has no words
        return []
    return [Completion(f"{head}/{name}".lstrip("/") + ("/" if is_folder else ""), "") for name, is_folder in names]


KINDS: dict[str, Callable[[Core, Any], list[Completion]]] = {
    "option": _of_cells, "run-option": _of_runs, "command": _commands, "value": _values, "project": _projects, "function": _functions,
    "parameter": _parameters, "run": _runs, "artifact": _artifacts, "path": _files,
}  # fmt: skip
