"""Statements that prepare libraries: seeds, options, styles, filters, registrations.

They bind no name, so nothing in a body asks for them; still the body computes or shows something else without them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection

from mlrun_jupyter.notebooks import constants
from mlrun_jupyter.notebooks.scope import root

SEEDS = frozenset({"seed", "set_seed", "manual_seed", "manual_seed_all", "seed_everything", "set_random_seed"})
_SETTERS = SEEDS | {
    "set_option", "set_options", "set_theme", "set_style", "set_context", "set_palette", "set_matplotlib_formats", "use", "rc", "style",
    "filterwarnings", "simplefilter", "disable_warnings", "basicConfig", "disable", "seterr", "set_printoptions", "set_config",
    "setlocale", "setcontext", "setrecursionlimit", "setdefaulttimeout", "set_default_dtype", "set_float32_matmul_precision",
    "set_num_threads", "register_matplotlib_converters", "set_verbosity", "set_verbosity_error", "set_verbosity_warning",
    "set_fmt_float", "set_tbl_rows", "set_tbl_cols", "set_output", "enable_string_cache", "autolog",
}  # fmt: skip
_UPDATES = frozenset({"update", "append", "insert", "extend", "add", "setdefault"})
_PLOTS = frozenset({"matplotlib", "seaborn"})
# what the process is told from outside stays outside: it may be secret, and the run has its own
_LEFT = ("os.environ", "mlrun_jupyter.", "mlflow.set_")


def prepares(node: ast.stmt) -> str:
    """The name of the library, or of what was imported from it, that a statement prepares; empty for other statements."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute | ast.Subscript):
        name, depth, _ = root(node.targets[0])
        return name if depth > 1 or isinstance(node.targets[0], ast.Subscript) else ""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        for decorator in node.decorator_list:
            parts = constants.dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if len(parts) > 1 and parts[-1].startswith("register"):
                return parts[0]
        return ""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return ""
    called = node.value
    parts = constants.dotted(called.func)
    if not parts:
        # decimal.getcontext().prec is an assignment; mpl.style.use(…) and the like are plain chains
        return ""
    known = parts[-1] in _SETTERS or (len(parts) > 2 and parts[-1] in _UPDATES)
    return parts[0] if known else ""


def backend(node: ast.stmt) -> bool:
    """``%matplotlib inline`` and ``%config InlineBackend.…``."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    text = ast.unparse(node.value)
    return text.startswith(("get_ipython().run_line_magic('matplotlib'", "get_ipython().run_line_magic('config', 'InlineBackend"))


def constant(node: ast.stmt, names: constants.Names) -> bool:
    """Whether what is set is a constant, so that setting it again elsewhere sets the same."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return True
    value = node.value if isinstance(node, ast.Assign | ast.Expr) else None
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        given = [node.value, *([target.slice] if isinstance(target, ast.Subscript) else [])]
    elif isinstance(value, ast.Call):
        given = [*value.args, *(one.value for one in value.keywords)]
    else:
        return False
    return all(constants.refuse(part, names) is None for part in given)


def wanted(node: ast.stmt, qualify: Callable[[str], str | None], packages: Collection[str]) -> bool:
    """Whether a body that uses these packages depends on the statement.

    :param packages: top-level modules that the body and what it takes along import.
    """
    foreign = any(name not in sys.stdlib_module_names and name != "mlrun_jupyter" for name in packages)
    if backend(node):
        return bool(_PLOTS & set(packages))
    name = prepares(node)
    full = qualify(name) or ""
    if isinstance(node, ast.Assign):
        full = ".".join([full, *_path(node.targets[0])])
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        full = constants.qualified(node.value.func, qualify)
    package = full.partition(".")[0]
    if not package or package == "builtins" or full.startswith(_LEFT):
        return False
    if package in packages:
        return True
    last = full.rpartition(".")[2]
    if package in ("random", "numpy"):
        # libraries draw from these without naming them
        return foreign and last in SEEDS
    if package in _PLOTS:
        return bool(_PLOTS & set(packages))
    return foreign and (package == "warnings" or last == "autolog")


def _path(node: ast.AST) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.func if isinstance(node, ast.Call) else node.value
    return parts[::-1]
