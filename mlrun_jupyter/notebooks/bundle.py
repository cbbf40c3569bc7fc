"""Modules that lie beside the notebook travel with the function."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from mlrun_jupyter.errors import DefinitionError
from mlrun_jupyter.model.clock import amount

LARGEST = 10_000_000
SKIPPED = {"__pycache__", ".ipynb_checkpoints", ".git", ".venv", "node_modules"}


def find_local_modules(packages: Iterable[str], folder: Path) -> dict[str, Path]:
    """Files of the modules that lie in the folder, with those that they import from there in turn.

    :param packages: top-level module names that the code imports.
    :returns: relative posix path to file.
    :raises DefinitionError: when they are larger than 10 MB in all.
    """
    found: dict[str, Path] = {}
    waiting = list(dict.fromkeys(packages))
    seen: set[str] = set()
    root = folder.resolve()
    while waiting:
        name = waiting.pop()
        if name in seen or not name.isidentifier():
            continue
        seen.add(name)
        for file in _files(root, name):
            found[file.relative_to(root).as_posix()] = file
            if file.suffix == ".py":
                waiting.extend(_imports(file))
    size = sum(file.stat().st_size for file in found.values())
    if size > LARGEST:
        largest = max(found.items(), key=lambda item: item[1].stat().st_size)
        raise DefinitionError(
            f"the modules beside the notebook are too large to travel with the function: {amount(size)}",
            why=f"at most {amount(LARGEST)} is bundled; the largest file is {largest[0]}",
            next_step="move data out of the package and give it as an --input",
        )
    return dict(sorted(found.items()))


def _files(root: Path, name: str) -> list[Path]:
    module, package = root / f"{name}.py", root / name
    if module.is_file():
        return [module] if module.resolve().is_relative_to(root) else []
    if not package.is_dir() or not any(package.glob("*.py")):
        return []
    inside = []
    for file in sorted(package.rglob("*")):
        if SKIPPED & set(file.parts) or not file.is_file() or not file.resolve().is_relative_to(root):
            continue
        inside.append(file)
    return inside


def _imports(file: Path) -> list[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        # it will say so itself when it is imported
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.extend(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module.partition(".")[0])
    return names
