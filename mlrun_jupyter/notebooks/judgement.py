"""Why a name cannot be taken along: each verdict with the place and the way out."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrun_jupyter.notebooks import constants, scope
from mlrun_jupyter.notebooks.bindings import Binding, Change
from mlrun_jupyter.notebooks.closure import Problem, is_builtin

if TYPE_CHECKING:
    from mlrun_jupyter.notebooks.taking import Taking

_OPENED = ("open", "connect", "engine", "session", "client", "cursor", "socket", "popen", "connection", "lock", "executor", "pool")
_SIMPLE = (bool, int, float, str)


def absent(taking: Taking, name: str, cell: int, line: int) -> Problem | None:
    """For a name that no cell which ran to its end binds; ``None`` when it is a builtin."""
    live = taking.live
    failed = taking.history.failed.get(name)
    if failed:
        last = failed[-1]
        return Problem(
            name, last.cell.number, last.line, "it is bound in a cell that failed, so what it is now cannot be known",
            "correct that cell and execute it again", "rebound",
        )  # fmt: skip
    if is_builtin(name) and name not in live:
        return None
    if name in live:
        return Problem(
            name, cell, line, f"it is {_a(live[name])} in memory that no cell made (%run, exec, an earlier output)",
            _bring(name, live[name]), "value",
        )  # fmt: skip
    if is_builtin(name):
        return None
    near = difflib.get_close_matches(name, sorted(taking.history.bindings), n=3)
    return Problem(
        name, cell, line, "nothing in the notebook defines it",
        f"did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else f"define it in a cell before, or declare it: --param {name}=…",
        "unknown",
    )  # fmt: skip


def problem(taking: Taking, name: str, binding: Binding) -> Problem | None:
    """Why the definition cannot be taken, or ``None``."""
    live = taking.live
    known = name in live

    def say(reason: str, next_step: str, kind: str, line: int = 0, cell: int = 0) -> Problem:
        return Problem(name, cell or binding.cell.number, line or binding.line, reason, next_step, kind)

    if binding.kind == "deleted":
        return say("it was deleted there", f"execute a cell that defines `{name}` again", "deleted")
    if taking.watched and not known:
        return say("it is not in the notebook any more", f"execute the cell that defines `{name}` again", "deleted")
    if binding.kind == "star":
        module = getattr(binding.node, "module", "") or ""
        return say(f"it may come from `from {module} import *`, and that cannot be told from here",
                   f"import it by name: from {module} import {name}", "star")  # fmt: skip
    if binding.kind == "conditional":
        return say("it is bound within an if, a loop, a with or a try, so its value depends on how that went",
                   _bring(name, live.get(name), simple=True), "conditional")  # fmt: skip
    if binding.kind == "augmented":
        return say("it was changed in place there", _bring(name, live.get(name), simple=True), "mutated")
    if binding.kind == "value":
        return say(f"it is {_a(live[name])} in memory" if known else "it is a value in memory", _bring(name, live.get(name)), "value")
    failed = [one for one in taking.history.failed.get(name, ()) if one.place > binding.place]
    if failed and not _as_written(taking, name, binding):
        return say("a later cell that failed may have bound it anew", "correct that cell and execute it again", "rebound",
                   failed[-1].line, failed[-1].cell.number)  # fmt: skip
    if binding.kind == "constant" and binding.value is not None:
        found = _constant(taking, name, binding, binding.value)
        if found is not None:
            return found
    if known and binding.kind in ("def", "class") and not callable(live[name]) and not isinstance(live[name], property):
        return say(f"it is {_a(live[name])} now, changed by other code since", f"execute the cell that defines `{name}` again", "rebound")
    if binding.kind == "def" and known and _has_shared_default(binding.node) and _used_default(live[name]):
        return say("a call changed one of its defaults, which calls share", "use None as the default, and make the list or dict in the body", "mutated")
    change = next(changes(taking, name, binding), None)
    if change is not None:
        kind, reason = ("rebound", "a function that assigns it as a global may have been called") if change.how == "global" else (
            "mutated", "what it stands for is changed there" if change.owner == "" else f"`{change.owner}` changes what it stands for")  # fmt: skip
        return say(reason, f"make the change in the cell itself, or {_bring(name, live.get(name), simple=True)}", kind, change.line, change.cell.number)
    return None


def _as_written(taking: Taking, name: str, binding: Binding) -> bool:
    """Whether the live object shows that the definition is still the one in force."""
    if name not in taking.live:
        return False
    if binding.kind == "import":
        return type(taking.live[name]).__name__ == "module" and getattr(taking.live[name], "__name__", "") in (binding.alias.name if binding.alias else "",)
    if binding.value is None:
        return False
    plain, value = constants.literal(binding.value)
    return plain and constants.same(value, taking.live[name])


def _constant(taking: Taking, name: str, binding: Binding, value: ast.expr) -> Problem | None:
    live = taking.live
    known = name in live
    together = set(scope.binds(binding.node)) | {name}
    if any(event.name in together and not event.lazy and event.what == "read" for event in scope.scan(value)):
        return Problem(name, binding.cell.number, binding.line, "it is computed from its own earlier value",
                       _bring(name, live.get(name), simple=True), "mutated")  # fmt: skip
    refused = constants.refuse(value, taking)
    if refused is not None:
        text = f"{_a(live[name])} in memory" if known else "a value in memory"
        called = ".".join(constants.dotted(refused.func)) if isinstance(refused, ast.Call) else ""
        made = f", made by {called}(…)" if called else ""
        opened = called.rpartition(".")[2].lower()
        if any(word in opened for word in _OPENED) or _is_opened(live.get(name)):
            return Problem(name, binding.cell.number, binding.line, f"it is {text}{made}, which cannot leave this process",
                           "open it inside the cell", "value")  # fmt: skip
        return Problem(name, binding.cell.number, binding.line, f"it is {text}{made}", _bring(name, live.get(name)), "value")
    if not known:
        return None
    plain, written = constants.literal(value)
    if not plain and _heavy(live[name]):
        return Problem(name, binding.cell.number, binding.line, f"it is {_a(live[name])} too large to be compared with its definition",
                       f"define `{name}` inside the cell, or {_bring(name, live[name])}", "value")  # fmt: skip
    evaluated, now = (True, written) if plain else constants.computed(value, live)
    if evaluated and not (constants.same if plain else constants.alike)(now, live[name]):
        return Problem(name, binding.cell.number, binding.line, "its value was changed since by other code",
                       f"execute the cell that defines `{name}` again, or {_bring(name, live[name], simple=True)}", "rebound")  # fmt: skip
    return None


def _heavy(value: object) -> bool:
    size = getattr(value, "nbytes", 0)
    return isinstance(size, int) and size > 10_000_000


def _has_shared_default(node: ast.stmt) -> bool:
    """Whether a default is written as an empty container; what is in it now came by calls."""
    given = node.args if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
    empty = {"[]", "{}", "list()", "dict()", "set()"}
    return given is not None and any(one is not None and ast.unparse(one) in empty for one in [*given.defaults, *given.kw_defaults])


def _used_default(live: object) -> bool:
    """Whether a default that calls share (``acc=[]``) is no longer as it was written."""
    import inspect

    function = inspect.unwrap(live) if callable(live) else live
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    shared = [*(getattr(function, "__defaults__", None) or ()), *(getattr(function, "__kwdefaults__", None) or {}).values()]
    return any(isinstance(one, list | dict | set) and one for one in shared)


def hidden_context(taking: Taking) -> Problem | None:
    """For ``context``, which is the run's: whether the notebook has something else under this name."""
    binding = taking.final("context")
    if binding is None or binding.kind == "deleted" or (taking.watched and "context" not in taking.live):
        return None
    live = taking.live.get("context")
    if type(live).__module__.partition(".")[0] == "mlrun_jupyter":
        return None
    return Problem(
        "context", binding.cell.number, binding.line, "in a run `context` is the run's context, which would hide this one",
        "give the notebook's own another name, or `del context` if the run's is meant", "rebound",
    )  # fmt: skip


def patched(binding: Binding, target: str) -> Problem:
    """For a part of a library that was replaced by a value that cannot be taken along."""
    return Problem(
        binding.name, binding.cell.number, binding.line, f"`{target}` is replaced there by a value in memory",
        "replace it inside the cell", "mutated",
    )  # fmt: skip


def changes(taking: Taking, name: str, binding: Binding) -> Iterator[Change]:
    """Changes of the object that the definition made, by this name or another that shares it."""
    fixed = binding.kind == "import" or (binding.kind == "constant" and binding.value is not None and taking.fixed(binding.value))
    for change in taking.history.changes.get(name, ()):
        if not _counts(taking, change, binding.place):
            continue
        if change.how == "global":
            yield change
        elif binding.kind == "import":
            # settings of a library (`os.environ[...]`, `plt.rcParams[...]`) stay behind; a replaced attribute is another library
            if change.how == "attribute" and not change.deep:
                yield change
        elif not fixed:
            yield change
    if fixed:
        return
    seen = {(name, False)}
    waiting = [(name, False, binding.place)]
    while waiting:
        current, inside, place = waiting.pop()
        for link in taking.history.links.get(current, ()):
            deep = inside or link.deep
            if link.made or link.place < place or (link.name, deep) in seen:
                continue
            seen.add((link.name, deep))
            waiting.append((link.name, deep, link.place))
            for change in taking.history.changes.get(link.name, ()):
                if change.how != "global" and _counts(taking, change, link.place) and (change.deep or not deep):
                    yield change


def _counts(taking: Taking, change: Change, place: tuple[int, int]) -> bool:
    return taking.history.called(change.owner) if change.lazy else change.place > place


def outdated(taking: Taking, name: str, binding: Binding, event: scope.Event) -> Problem | None:
    """For a name that the definition read when it was executed: whether it stands for something else now."""
    later = taking.final(event.name)
    if later is None or later.place <= binding.place:
        return None
    return Problem(
        name, binding.cell.number, binding.line,
        f"it was made from `{event.name}`, which cell [{later.cell.number}] line {later.line} bound anew since",
        f"execute the cell that defines `{name}` again", "rebound",
    )  # fmt: skip


def _kind(value: object) -> str:
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def _a(value: object) -> str:
    kind = _kind(value)
    return f"an {kind}" if kind[0].lower() in "aeio" else f"a {kind}"


def _is_opened(value: object) -> bool:
    return value is not None and any(word in type(value).__name__.lower() for word in _OPENED)


def _bring(name: str, value: object, *, simple: bool = False) -> str:
    """How to give a value to the function instead."""
    if isinstance(value, _SIMPLE) and len(str(value)) <= 200:
        return f"give it as a parameter: --param {name}={str(value)!r}" if isinstance(value, str) else f"give it as a parameter: --param {name}={value}"
    if type(value).__name__ in ("module", "function", "type", "builtin_function_or_method") or (callable(value) and isinstance(value, type)):
        return "bring that about inside the cell"
    if type(value).__module__ == "__main__":
        return f"make it inside the cell: {name} = {type(value).__name__}(…)"
    if simple and value is None:
        return f"give it as a parameter: --param {name}=…"
    return f"give it as an input: --input {name}=PATH, or --capture {name} to store its value as an artifact"
