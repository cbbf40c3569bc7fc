"""Calling plain Python functions as handlers: arguments bound by name, returned values logged.

The rules are MLRun's: ``context`` is given by name; parameters bind by name, then inputs (a parameter wins); an input
bound to a hinted parameter arrives as that type, to an unhinted one with a text as default as a local path, else as a
``DataItem``. Unlike there, falsy and table-like return values are logged as any other.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from mlrun_jupyter.errors import MLRunNotFoundError, ParameterError
from mlrun_jupyter.model.function import declare_outputs
from mlrun_jupyter.model.parameters import NOT_FINITE, basic_type
from mlrun_jupyter.runs import audit
from mlrun_jupyter.runs.context import Context, convert

_CURRENT: list[Context] = []


def current() -> Context | None:
    """The context of the handler that runs now, if any."""
    return _CURRENT[-1] if _CURRENT else None


def call(context: Context, handler: str, variables: Mapping[str, Any]) -> None:
    """Call ``name``, ``module.name`` or ``Class::method`` with what the context has, and log what it returns."""
    __tracebackhide__ = True  # IPython leaves these frames out: the reader looks for his own
    target, extra = resolve(context, handler, variables)
    arguments = bind(context, target, extra)
    _CURRENT.append(context)
    try:
        value = target(**arguments)
        if inspect.iscoroutine(value):
            import asyncio

            value = _run_async(asyncio, value)
    finally:
        _CURRENT.pop()
    wrapped = bool(getattr(target, "__mlrun_logged__", False))
    if not wrapped:
        log_returned(context, value, context.returns)
    context.commit(completed=True)


def _run_async(asyncio: Any, coroutine: Any) -> Any:
    # the cell runs inside the kernel's loop; a coroutine handler gets one of its own in a thread
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def resolve(context: Context, handler: str, variables: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The callable that a handler's text names, and parameters that are already used up."""
    path, _, method = handler.partition("::")
    head, *rest = path.split(".")
    if head in variables:
        found: Any = variables[head]
    else:
        module, _, attribute = path.rpartition(".")
        if not module:
            raise MLRunNotFoundError(
                f"there is no handler {handler!r}", why="the code does not define it", next_step="check the handler's name"
            )
        found, rest = importlib.import_module(module), [attribute]
    for name in rest:
        if not hasattr(found, name):
            raise MLRunNotFoundError(
                f"there is no handler {handler!r}", why=f"{getattr(found, '__name__', head)!r} has no {name!r}",
                next_step="check the handler's name",
            )  # fmt: skip
        found = getattr(found, name)
    used: dict[str, Any] = {}
    if method:
        arguments = dict(context.parameters.get("_init_args") or {})
        used["_init_args"] = arguments
        if "context" in inspect.signature(found).parameters:
            arguments = {**arguments, "context": context}
        found = getattr(found(**arguments), method)
    return found, used


def bind(context: Context, target: Callable[..., Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the call."""
    signature = inspect.signature(inspect.unwrap(target))
    hints = _hints(target)
    arguments: dict[str, Any] = {}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name == "self":
            continue
        if name == "context":
            arguments[name] = context
        elif name in context.parameters and not (name in context._inputs and (context.parameters[name] is None or not context.in_run)):
            value = context.parameters[name]
            if value in NOT_FINITE and context._types.get(name, "").removesuffix("?") == "float":
                value = float(value)
            if isinstance(value, str) and value.startswith("secret://"):
                value = context.get_secret(value.removeprefix("secret://"))
            arguments[name] = _typed(name, value, hints.get(name))
        elif name in context._inputs:
            item = context.get_input(name)
            hint = hints.get(name) or context._inputs[name].type or None
            with audit.ours():
                # a declared input is opened here, and no code of the run's own is called
                if hint is None and isinstance(parameter.default, str):
                    arguments[name] = item.local()
                elif hint is None:
                    arguments[name] = item
                else:
                    arguments[name] = context._values.restore(item, hint)
        elif parameter.default is parameter.empty:
            raise ParameterError(
                f"handler {getattr(target, '__name__', target)!r} needs {name!r}",
                why="no parameter or input of that name was given",
                next_step=f"pass params={{{name!r}: …}} or inputs={{{name!r}: …}}",
            )
    if open_ended:
        for name, value in context.parameters.items():
            if name not in arguments and name not in used and name not in signature.parameters:
                arguments[name] = value
    return arguments


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    bare = inspect.unwrap(target)
    try:
        return typing.get_type_hints(bare)
    except Exception:
        # a hint that cannot be evaluated (a name only there for type checkers) is used as its text
        return dict(getattr(bare, "__annotations__", {}))


def _typed(name: str, value: Any, hint: Any) -> Any:
    if value is None or hint in (None, Any, inspect.Parameter.empty) or isinstance(hint, str):
        return value
    if typing.get_origin(hint) is not None or not isinstance(hint, type) or isinstance(value, hint):
        return value
    if hint is float and isinstance(value, int):
        return float(value)
    if basic_type(hint.__name__)[0] in ("int", "float", "bool", "str", "list", "dict"):
        return value
    if hint.__module__ == "mlrun_jupyter.artifacts.dataitem":
        return value
    if hint.__name__ == "datetime":
        from datetime import datetime

        return datetime.fromisoformat(value)
    if issubclass(hint, PurePath):
        return hint(value)
    return convert(name, value, hint)


def log_returned(context: Context, value: Any, hints: Sequence[Sequence[str]]) -> None:
    """Log what a handler returned: by position for the hints, else as the result (or artifact) ``return``."""
    if not hints:
        if value is not None:
            context.log_output("return", value)
        return
    values = list(value) if isinstance(value, tuple) and (len(hints) > 1 or len(value) == 1) else [value]
    if len(values) < len(hints):
        raise ParameterError(
            f"the handler returned {len(values)} value{'s' * (len(values) != 1)}, but {len(hints)} outputs are declared",
            why=f"declared are {', '.join(hint[0] or 'None' for hint in hints)}",
            next_step="return a tuple with one value for each output",
        )
    for (name, kind), item in zip(hints, values, strict=False):
        if name:
            context.log_output(name, item, kind)


def handler(
    labels: Mapping[str, str] | None = None,
    outputs: Sequence[Any] | None = None,
    inputs: bool | Mapping[str, Any] = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: log what the function returns when it is called within a run; outside one it changes nothing.

    :param labels: set on the run.
    :param outputs: log hints, one for each returned value: ``"key"``, ``"key:dataset"``, ``None`` to skip.
    :param inputs: restore ``DataItem`` arguments to the types of the hints (or of this mapping).

    >>> @mlrun.handler(outputs=["model", "auc"])
    ... def train(data: pd.DataFrame, trees: int = 200): ...
    """
    declared = declare_outputs(list(outputs)) if outputs else ()

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            context = current()
            if context is None:
                return function(*args, **kwargs)
            if labels:
                context.set_labels(labels)
            if inputs:
                hints = {**_hints(function), **(inputs if isinstance(inputs, Mapping) else {})}
                for name, value in kwargs.items():
                    if type(value).__name__ == "DataItem" and hints.get(name) is not None:
                        kwargs[name] = context._values.restore(value, hints[name])
            value = function(*args, **kwargs)
            if declared:
                log_returned(context, value, [[output.name, output.type] for output in declared])
            return value

        if declared:
            wrapped.__mlrun_logged__ = True  # type: ignore[attr-defined]
        return wrapped

    return wrap
