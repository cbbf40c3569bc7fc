"""Functions from elsewhere than a cell: files, notebooks, modules, git and archive sources, Python functions."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import CellSyntaxError, DefinitionError, MLRunNotFoundError
from mlrun_jupyter.model.canonical import normal_source
from mlrun_jupyter.model.function import KINDS, Code, CodeCell, Function, Input, Origin, declare_outputs
from mlrun_jupyter.model.names import check_label
from mlrun_jupyter.model.parameters import Parameter, basic_type, declare, plain
from mlrun_jupyter.notebooks import constants
from mlrun_jupyter.notebooks.bundle import find_local_modules
from mlrun_jupyter.notebooks.cells import parse

PutBlob = Callable[[bytes], str]
# annotations that say that an argument is data to read, not a parameter
_DATA = {"DataItem", "DataFrame", "Series", "ndarray", "Table", "LazyFrame"}


def function_from(
    source: Any,
    *,
    name: str,
    project: str,
    put_blob: PutBlob,
    folder: Path,
    handler: str = "",
    kind: str = "job",
    image: str = "",
    description: str = "",
    requirements: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    returns: Any = None,
    parameters: Sequence[str] = (),
    ignored_tags: Sequence[str] = (),
    **unknown: Any,
) -> tuple[Function, Path]:
    """The function that a source is, and the folder that its relative paths count from.

    :param source: a path of a ``.py``, ``.ipynb``, ``.yaml`` or archive file, ``git://…#ref``, nothing with a ``handler`` of
        the form ``module.function``, or a Python function.
    :raises DefinitionError: when it cannot become a function.
    """
    if unknown:
        raise DefinitionError(f"a function has no option {next(iter(unknown))!r}", next_step="see help(mlrun.code_to_function)")
    kind = kind or "job"
    if kind not in KINDS:
        raise DefinitionError(f"{kind!r} is no kind of function here", why=f"kinds are {', '.join(KINDS)}", next_step="use kind='job'")
    if callable(source):
        made, base = _from_callable(source, name, put_blob, folder)
    else:
        made, base = _from_text(str(source or ""), name, handler, put_blob, folder, ignored_tags)
    if parameters:
        made = msgspec.structs.replace(made, parameters=tuple(declare(text) for text in parameters))
    if returns is not None:
        made = msgspec.structs.replace(made, returns=declare_outputs(returns))
    return msgspec.structs.replace(
        made, project=project, kind=kind, image=image, description=description or made.description,
        requirements=tuple(requirements), labels=dict(labels or {}),
    ), base  # fmt: skip


_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+(::\w+)?")


def _from_text(
    source: str, name: str, handler: str, put_blob: PutBlob, folder: Path, ignored_tags: Sequence[str]
) -> tuple[Function, Path]:
    if source.startswith(("git://", "git+", "git@")) or source.endswith((".zip", ".tar.gz", ".tgz")):
        return _from_archive(source, name, handler, put_blob)
    if not source:
        if "." in handler:
            return _from_module(handler, name, put_blob, folder)
        raise DefinitionError(
            "nothing says where the function's code is", next_step="give a .py or .ipynb file, a Python function, or handler='module.function'"
        )
    path = Path(source) if Path(source).is_absolute() else folder / source
    if not path.is_file() and not handler and _DOTTED.fullmatch(source) and path.suffix not in (".py", ".ipynb", ".yaml", ".yml"):
        return _from_module(source, name, put_blob, folder)
    if not path.is_file():
        raise MLRunNotFoundError(
            f"there is no file {source}", why=f"{path.absolute()} does not exist", next_step="correct the path, or save the file"
        )
    label = check_label(name or path.stem, "function")
    if path.suffix == ".ipynb":
        return _from_notebook(path, label, handler, put_blob, ignored_tags), path.parent
    if path.suffix in (".yaml", ".yml"):
        from mlrun_jupyter.model.canonical import from_yaml

        found = from_yaml(path.read_text(encoding="utf-8"), Function)
        return msgspec.structs.replace(found, name=check_label(name or found.name, "function")), path.parent
    if path.suffix != ".py":
        raise DefinitionError(f"{source} cannot become a function", why=f"its ending is {path.suffix!r}", next_step="use .py, .ipynb, .yaml, .zip or .tar.gz")
    text = path.read_text(encoding="utf-8")
    tree = _tree(text, source)
    if handler:
        return _calling(label, handler, {_module_name(path): path}, tree, put_blob, path.parent, _module_name(path)), path.parent
    files = _bundle(_imported(tree), path.parent, put_blob)
    asked, open_ended = _asked_for(tree)
    return Function(name=label, code=Code(cells=(CodeCell(normal_source(text), "source"),)), files=files,
                    parameters=asked, open_ended=open_ended, packages=tuple(sorted(_imported(tree))), origin=Origin(notebook=path.name)), path.parent  # fmt: skip


def _asked_for(tree: ast.Module) -> tuple[tuple[Parameter, ...], bool]:
    """The parameters that a script asks its context for, and whether it has one: then it may ask for others as well."""
    found: dict[str, Parameter] = {}
    has_context = False
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        has_context = has_context or called == "get_or_create_ctx"
        if called != "get_param" or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = node.args[0].value
        defaults = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
        if isinstance(name, str) and name.isidentifier():
            written, value = constants.literal(defaults[0]) if defaults else (True, None)
            if written:
                kind = {int: "int", float: "float", str: "str", bool: "bool", list: "list", dict: "dict"}.get(type(value), "")
                found.setdefault(name, Parameter(name, kind, default=value))
    return (tuple(found.values()) if has_context else ()), has_context


def _module_name(path: Path) -> str:
    return re.sub(r"\W", "_", path.stem)


def _tree(text: str, where: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise CellSyntaxError(
            f"{where} does not parse: line {error.lineno}", why=f"{error.msg}: {(error.text or '').strip()}", next_step="correct that line"
        ) from None


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _bundle(packages: set[str], folder: Path, put_blob: PutBlob) -> dict[str, str]:
    return {path: put_blob(file.read_bytes()) for path, file in find_local_modules(sorted(packages), folder).items()}


def _calling(
    label: str, handler: str, modules: Mapping[str, Path], tree: ast.Module, put_blob: PutBlob, folder: Path, module: str
) -> Function:
    """A function that imports a module and calls a handler of it. Imported, not executed, so that its ``__main__`` part
    does not run and its classes have a stable name."""
    files = _bundle(_imported(tree), folder, put_blob)
    files.update({f"{name}.py": put_blob(path.read_bytes()) for name, path in modules.items()})
    attribute = handler.partition("::")[0].partition(".")[0]
    node = _find(tree, attribute)
    if node is None:
        known = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        raise DefinitionError(
            f"{label!r} has no handler {handler!r}", why=f"{module} defines {', '.join(known) or 'no functions'}", next_step="correct the name"
        )
    parameters, inputs, open_ended, doc = signature(node, handler)
    return Function(
        name=label, description=doc, code=Code(cells=(CodeCell(f"from {module} import {attribute}\n", "closure"),), handler=handler),
        parameters=parameters, inputs=inputs, open_ended=open_ended, files=dict(sorted(files.items())),
        packages=tuple(sorted(_imported(tree) | {module})), origin=Origin(notebook=f"{module}.py"),
    )  # fmt: skip


def _find(tree: ast.Module, name: str) -> ast.AST | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return node
    return None


def signature(node: ast.AST, handler: str = "") -> tuple[tuple[Parameter, ...], tuple[Input, ...], bool, str]:
    """Parameters, inputs, whether there is ``**kwargs``, and the first line of the docstring, of a definition.

    An argument annotated as data (``DataItem``, ``DataFrame``, …) is an input; every other but ``context`` is a parameter,
    except one without annotation and default, which may be either and is taken for whatever the run passes.
    """
    if isinstance(node, ast.ClassDef):
        method = handler.partition("::")[2]
        found = next((n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == method), None)
        if found is None:
            raise DefinitionError(f"class {node.name!r} has no method {method!r}", next_step="write the handler as Class::method")
        parameters, inputs, open_ended, doc = signature(found)
        init = Parameter("_init_args", "dict", default={}, doc=f"arguments of {node.name}()")
        return (*parameters, init), inputs, open_ended, doc
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    arguments = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(arguments) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(arguments, defaults, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    docs = _param_docs(ast.get_docstring(node) or "")
    parameters_: list[Parameter] = []
    inputs_: list[Input] = []
    for argument, default in pairs:
        if argument.arg in ("self", "cls", "context"):
            continue
        annotation = ast.unparse(argument.annotation) if argument.annotation else ""
        kind, optional = basic_type(annotation) if annotation else ("", False)
        doc = docs.get(argument.arg, "")
        if kind.rpartition(".")[2] in _DATA:
            inputs_.append(Input(name=argument.arg, type="" if kind.endswith("DataItem") else kind, required=default is None, doc=doc))
            continue
        has, value = _literal(default)
        if default is None and not annotation:
            # data or parameter: the run decides, and the call refuses what is missing
            parameters_.append(Parameter(argument.arg, doc=doc, default=None))
            inputs_.append(Input(name=argument.arg, required=False, doc=doc))
            continue
        if not annotation and isinstance(value, str):
            inputs_.append(Input(name=argument.arg, required=False, doc=doc))
        known = kind if kind in ("int", "float", "bool", "str", "list", "dict", "path", "datetime") else ""
        if not annotation and has and value is not None:
            known = {"bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "dict": "dict"}.get(type(value).__name__, "")
        parameters_.append(
            Parameter(argument.arg, known, default=value if has else None, required=default is None, doc=doc,
                      optional=optional or (default is not None and not has) or (has and value is None))
        )  # fmt: skip
    first = (ast.get_docstring(node) or "").strip().partition("\n")[0]
    return tuple(parameters_), tuple(inputs_), node.args.kwarg is not None, first


def _literal(default: ast.expr | None) -> tuple[bool, Any]:
    if default is None:
        return False, None
    try:
        return True, plain(ast.literal_eval(default))
    except (ValueError, TypeError, SyntaxError):
        return False, None


def _param_docs(doc: str) -> dict[str, str]:
    found = dict(re.findall(r":param\s+(?:\w+\s+)?(\w+)\s*:\s*(.+)", doc))
    found.update({k: v for k, v in re.findall(r"^\s{2,}(\w+)\s*(?:\([^)]*\))?:\s+(.+)$", doc, re.MULTILINE) if k not in found})
    return {name: " ".join(text.split()) for name, text in found.items()}


def with_handler(function: Function, handler: str, files: Mapping[str, str]) -> Function:
    """The version with another handler of the same code.

    :raises DefinitionError: when the code does not define it.
    """
    attribute = handler.partition("::")[0].partition(".")[0]
    sources = [(CodeCell(cell.source, "closure"), cell.source) for cell in function.code.cells]
    for _, text in sources:
        node = _find(parse(text)[0], attribute)
        if node is not None:
            parameters, inputs, open_ended, doc = signature(node, handler)
            return msgspec.structs.replace(
                function, code=Code(cells=tuple(cell for cell, _ in sources), handler=handler), parameters=parameters,
                inputs=inputs, open_ended=open_ended, description=function.description or doc,
            )  # fmt: skip
    for name, text in files.items():
        node = _find(_tree(text, name), attribute) if name.endswith(".py") and "/" not in name else None
        if node is not None:
            parameters, inputs, open_ended, doc = signature(node, handler)
            cell = CodeCell(f"from {name[:-3]} import {attribute}\n", "closure")
            return msgspec.structs.replace(
                function, code=Code(cells=(cell,), handler=handler), parameters=parameters, inputs=inputs, open_ended=open_ended
            )
    raise DefinitionError(f"function {function.name!r} has no handler {handler!r}", why="its code does not define it", next_step="check the name")


# -- notebooks --------------------------------------------------------------------------------------------------------

_MARK = re.compile(r"^\s*#\s*(?:mlrun|nuclio)\s*:\s*(start-code|end-code|ignore)\b[ \t]*(\S*)[ \t]*$", re.MULTILINE)


def marked(cells: Sequence[str], name: str = "") -> list[str]:
    """The code between ``# mlrun: start-code [name]`` and ``end-code``, as MLRun cuts it; all of it without marks.

    :raises DefinitionError: for two starts, or two ends, in a row.
    """
    texts = [text for text in cells if not any(m[1] == "ignore" for m in _MARK.finditer(text))]
    names = {m[2] for text in texts for m in _MARK.finditer(text)}
    wanted = name if name in names else ""
    marks = [[m for m in _MARK.finditer(text) if m[2] == wanted] for text in texts]
    flat = [m[1] for found in marks for m in found]
    if not flat:
        return texts
    kept: list[str] = []
    # an end that comes first means: from the top
    inside = flat[0] == "end-code"
    for text, found in zip(texts, marks, strict=True):
        at, pieces = 0, []
        for mark in found:
            starts = mark[1] == "start-code"
            if starts == inside:
                raise DefinitionError(
                    f"two {mark[1]} marks stand in a row", why="a start and an end must alternate", next_step="correct the marks in the notebook"
                )
            if not starts:
                pieces.append(text[at : mark.start()])
            at, inside = mark.end(), starts
        if inside:
            pieces.append(text[at:])
        joined = "\n".join(piece.strip("\n") for piece in pieces).strip("\n")
        if joined:
            kept.append(joined)
    return kept


def _from_notebook(path: Path, label: str, handler: str, put_blob: PutBlob, ignored_tags: Sequence[str]) -> Function:
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:
        raise DefinitionError(f"{path.name} cannot be read as a notebook", why=str(error)[:300], next_step="save it again") from error
    skipped = {"mlrun-ignore", "nuclio-ignore", "injected-parameters", *ignored_tags}
    parameters: list[Parameter] = []
    texts: list[str] = []
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", ()))
        if cell.cell_type != "code" or tags & skipped or not cell.source.strip():
            continue
        if "parameters" in tags:
            parameters.extend(_parameters_of(cell.source))
            continue
        # a notebook that defines functions holds the cells that do so, which are no part of another
        if not cell.source.lstrip().startswith(("%%mlrun", "%mlrun", "%load_ext mlrun")):
            texts.append(cell.source)
    kept = marked(texts, label)
    packages: set[str] = set()
    inputs: dict[str, Input] = {}
    for number, text in enumerate(kept, 1):
        try:
            tree = parse(text)[0]
            packages |= _imported(tree)
            inputs.update(_inputs_asked_for(tree))
        except SyntaxError as error:
            raise CellSyntaxError(
                f"{path.name}, code cell {number} does not parse: line {error.lineno}", why=str(error.msg), next_step="correct that cell"
            ) from None
    role = "closure" if handler else "body"
    function = Function(
        name=label, code=Code(cells=tuple(CodeCell(normal_source(text), role) for text in kept)), parameters=tuple(parameters),
        inputs=tuple(inputs.values()), files=_bundle(packages, path.parent, put_blob), packages=tuple(sorted(packages)), origin=Origin(notebook=path.name),
    )  # fmt: skip
    return with_handler(function, handler, {}) if handler else function


def _inputs_asked_for(tree: ast.Module) -> dict[str, Input]:
    """What the code reads by ``context.get_input("name")``, which says itself what is missing."""
    found: dict[str, Input] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_input"
            and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        ):  # fmt: skip
            name = node.args[0].value
            found[name] = Input(name=name)
    return found


def _parameters_of(source: str) -> list[Parameter]:
    found: list[Parameter] = []
    for node in parse(source)[0].body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name):
            has, value = _literal(node.value)  # type: ignore[attr-defined]
            kind, optional = basic_type(ast.unparse(node.annotation)) if isinstance(node, ast.AnnAssign) else ("", False)
            known = kind or ({"bool": "bool", "int": "int", "float": "float", "str": "str", "list": "list", "dict": "dict"}.get(type(value).__name__, "") if has else "")
            found.append(Parameter(target.id, known, default=value, optional=optional or value is None))
    return found


# -- Python functions, modules, archives ------------------------------------------------------------------------------


def _from_callable(function: Callable[..., Any], name: str, put_blob: PutBlob, folder: Path) -> tuple[Function, Path]:
    bare = inspect.unwrap(function)
    label = check_label(name or getattr(bare, "__name__", "function"), "function")
    module = sys.modules.get(bare.__module__)
    file = getattr(module, "__file__", None)
    if bare.__module__ == "__main__" or file is None:
        return _from_live(bare, label, put_blob, folder), folder
    if bare.__qualname__ != bare.__name__:
        raise DefinitionError(
            f"{bare.__qualname__!r} is defined inside something else", why="only functions at the top of a module can be found again",
            next_step="move it to the top of its module",
        )  # fmt: skip
    path = Path(file)
    tree = _tree(path.read_text(encoding="utf-8"), path.name)
    if "." in bare.__module__ or "site-packages" in path.parts:
        return _installed(label, bare.__module__, bare.__name__, tree), folder
    return _calling(label, bare.__name__, {_module_name(path): path}, tree, put_blob, path.parent, _module_name(path)), path.parent


def _installed(label: str, module: str, handler: str, tree: ast.Module) -> Function:
    node = _find(tree, handler.partition("::")[0])
    if node is None:
        raise DefinitionError(f"module {module} has no {handler!r}", next_step="check the name")
    parameters, inputs, open_ended, doc = signature(node, handler)
    cell = CodeCell(f"from {module} import {handler.partition('::')[0]}\n", "closure")
    return Function(name=label, description=doc, code=Code(cells=(cell,), handler=handler), parameters=parameters, inputs=inputs,
                    open_ended=open_ended, packages=(module.partition(".")[0],))  # fmt: skip


def _from_live(function: Any, label: str, put_blob: PutBlob, folder: Path) -> Function:
    """A function that was defined in a notebook or script: with what it needs from there."""
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.closure import analyse, require

    name = function.__name__
    main = sys.modules["__main__"]
    history = getattr(main, "In", None)
    if history:
        cells = [Cell(number, text) for number, text in enumerate(history[1:-1], 1)]
        # the cell that runs now may define the function itself
        cells.append(Cell(len(history) - 1, history[-1]))
    else:
        file = getattr(main, "__file__", None)
        if file is None:
            raise DefinitionError(f"the source of {name!r} is not to be found", next_step="put it into a .py file and give its path")
        cells = [Cell(1, Path(file).read_text(encoding="utf-8"))]
    closure = require(analyse(f"{name}", cells=cells, values=vars(main)), label)
    pieces = [CodeCell(normal_source(piece.source), "closure") for piece in closure.pieces]
    node = _find(_tree(inspect.cleandoc(inspect.getsource(function)), name), name)
    assert node is not None
    parameters, inputs, open_ended, doc = signature(node)
    return Function(
        name=label, description=doc, code=Code(cells=tuple(pieces), handler=name), parameters=parameters, inputs=inputs,
        open_ended=open_ended, files=_bundle(set(closure.packages), folder, put_blob), packages=tuple(sorted(closure.packages)),
    )  # fmt: skip


def _from_module(handler: str, name: str, put_blob: PutBlob, folder: Path) -> tuple[Function, Path]:
    import importlib.util

    module, _, attribute = handler.rpartition(".")
    label = check_label(name or attribute.replace("::", "-"), "function")
    local = folder / f"{module.replace('.', '/')}.py"
    if local.is_file():
        tree = _tree(local.read_text(encoding="utf-8"), local.name)
        made = _installed(label, module, attribute, tree)
        return msgspec.structs.replace(made, files=_bundle({module.partition(".")[0]}, folder, put_blob)), folder
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise MLRunNotFoundError(f"there is no module {module!r}", why=f"neither in {folder} nor installed", next_step="check handler='module.function'")
    return _installed(label, module, attribute, _tree(Path(found.origin).read_text(encoding="utf-8"), module)), folder


def _from_archive(source: str, name: str, handler: str, put_blob: PutBlob) -> tuple[Function, Path]:
    if "." not in handler:
        raise DefinitionError(
            f"{source} needs to know what to call", why="an archive holds many files", next_step="pass handler='module.function'"
        )
    with tempfile.TemporaryDirectory(prefix="mlrun-source-") as temporary:
        folder = Path(temporary) / "source"
        resolved = _fetch(source, folder)
        made, _ = _from_module(handler, name, put_blob, folder)
    return msgspec.structs.replace(made, code=msgspec.structs.replace(made.code, source=resolved)), Path.cwd()


def _fetch(source: str, folder: Path) -> str:
    """Bring a git or archive source into a folder; returns it with its commit or digest."""
    if source.endswith((".zip", ".tar.gz", ".tgz")):
        import hashlib

        import fsspec

        folder.mkdir()
        with fsspec.open(source, "rb") as remote, tempfile.NamedTemporaryFile(suffix=Path(source).suffix) as local:
            shutil.copyfileobj(remote, local)
            local.flush()
            digest = hashlib.sha256(Path(local.name).read_bytes()).hexdigest()
            if source.endswith(".zip"):
                with zipfile.ZipFile(local.name) as archive:
                    # ZipFile drops absolute paths and `..` by itself
                    archive.extractall(folder)  # noqa: S202
            else:
                with tarfile.open(local.name) as tar:
                    tar.extractall(folder, filter="data")
        return f"{source}@sha256:{digest[:16]}"
    url, _, ref = source.partition("#")
    url = url.removeprefix("git+")
    if url.startswith("git:///") or Path(url.removeprefix("git://")).exists():
        url = url.removeprefix("git://")
    elif url.startswith("git://"):
        url = url.replace("git://", "https://", 1)
    ref = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    for command in (["git", "clone", "--quiet", "--", url, str(folder)], ["git", "-C", str(folder), "checkout", "--quiet", ref, "--"] if ref else None):
        if command is None:
            continue
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise MLRunNotFoundError(f"{source} cannot be fetched", why=done.stderr.strip()[-500:], next_step="check the address, the branch and your access")
    commit = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=30, check=True)
    return f"{url}#{commit.stdout.strip()}"
