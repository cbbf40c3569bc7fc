"""Functions that read files in C++ or Rust, where Python's audit events do not reach: they tell the recorder what they are given.

They are wrapped when their library is imported, or at once where it has been imported ahead.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from mlrun_jupyter.runs import audit

_PATHS = ("source", "sources", "path", "paths", "where", "file", "fname", "input_file", "base_dir", "root", "data", "model_file", "uri", "table", "metadata_path")
_SQL_READS = re.compile(r"\b(?:read|scan)_\w+\s*\(", re.IGNORECASE)

_POLARS = ["read_csv", "read_csv_batched", "read_parquet", "read_parquet_schema", "read_parquet_metadata", "read_ipc", "read_ipc_stream", "read_ipc_schema", "read_ndjson", "read_json", "read_avro", "read_excel", "read_ods", "read_delta", "read_clipboard", "scan_csv", "scan_parquet", "scan_ipc", "scan_ndjson", "scan_delta", "scan_iceberg", "scan_pyarrow_dataset", "scan_lines", "read_lines"]
FUNCTIONS: dict[str, Sequence[str]] = {
    "pyarrow": ("memory_map", "input_stream"),
    "pyarrow.parquet": ("read_table", "read_pandas", "read_metadata", "read_schema"),
    "pyarrow.parquet.core": ("read_table", "read_pandas", "read_metadata", "read_schema"),
    "pyarrow.dataset": ("dataset", "parquet_dataset"),
    "pyarrow.csv": ("read_csv", "open_csv"),
    "pyarrow.json": ("read_json", "open_json"),
    "pyarrow.feather": ("read_feather", "read_table"),
    "pyarrow.orc": ("read_table",),
    "polars": _POLARS,
}
# classes whose constructor, or a method of whose, reads
METHODS: dict[str, Sequence[tuple[str, str]]] = {
    "pyarrow.parquet.core": (("ParquetFile", "__init__"), ("ParquetDataset", "__init__")),
    "pyarrow.orc": (("ORCFile", "__init__"),),
    "polars": (("DataFrame", "deserialize"), ("LazyFrame", "deserialize")),
    "lightgbm.basic": (("Dataset", "__init__"), ("Booster", "__init__")),
    "xgboost.core": (("DMatrix", "__init__"), ("Booster", "load_model")),
    "xgboost.sklearn": (("XGBModel", "load_model"),),
}
# classes that read in C++ itself: a class of the same kind that tells takes their place
CLASSES: dict[str, Sequence[str]] = {"pyarrow": ("OSFile", "MemoryMappedFile")}
# whoever makes one of these reads from far away, or from a file system whose reading nobody sees
SYSTEMS: dict[str, Sequence[str]] = {"pyarrow.fs": ("S3FileSystem", "GcsFileSystem", "AzureFileSystem", "HadoopFileSystem")}
WATCHED = tuple(dict.fromkeys([*FUNCTIONS, *METHODS, *CLASSES, *SYSTEMS]))


def watch(more: dict[str, Callable[[ModuleType], None]] | None = None) -> None:
    """Wrap what is there, and what comes.

    :param more: called with a module of that name once it is loaded.
    """
    rules: dict[str, Callable[[ModuleType], None]] = dict.fromkeys(WATCHED, _wrap)
    rules.update(more or {})
    for name in list(rules):
        if name in sys.modules:
            rules.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _AfterImport(rules))


_looking: set[tuple[int, int, str]] = set()


def find_behind(finder: object, fullname: str, path: Any, target: ModuleType | None) -> Any:
    """What the other finders find; ``None`` while it is being looked for already, since each of several hooks asks the others."""
    import threading

    mark = (id(finder), threading.get_ident(), fullname)
    if mark in _looking:
        return None
    _looking.add(mark)
    try:
        others = (other for other in list(sys.meta_path) if other is not finder and hasattr(other, "find_spec"))
        return next((found for other in others if (found := other.find_spec(fullname, path, target))), None)
    finally:
        _looking.discard(mark)


class _AfterImport:
    """Finds modules as the others do, and has a rule called once one is loaded."""

    def __init__(self, rules: dict[str, Callable[[ModuleType], None]]) -> None:
        self.rules = rules

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if fullname not in self.rules:
            return None
        spec: Any = find_behind(self, fullname, path, target)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            rule = self.rules.pop(fullname, None)
            if rule is not None:
                rule(module)

        spec.loader.exec_module = exec_module
        return spec


def _wrap(module: ModuleType) -> None:
    name = module.__name__
    for function in FUNCTIONS.get(name, ()):
        if hasattr(module, function):
            setattr(module, function, _telling(getattr(module, function)))
    for owner, method in METHODS.get(name, ()):
        kind = getattr(module, owner, None)
        if kind is not None and method in vars(kind):
            found = vars(kind)[method]
            if isinstance(found, classmethod | staticmethod):
                setattr(kind, method, type(found)(_telling(found.__func__, skip=int(isinstance(found, classmethod)))))
            else:
                setattr(kind, method, _telling(found, skip=1))
    for owner in CLASSES.get(name, ()):
        if hasattr(module, owner):
            setattr(module, owner, _telling_class(getattr(module, owner)))
    for owner in SYSTEMS.get(name, ()):
        if hasattr(module, owner):
            setattr(module, owner, _far(getattr(module, owner)))
    if name == "pyarrow.fs":
        _wrap_local(module)
    if name == "polars":
        for sql in ("sql",):
            setattr(module, sql, _sql(getattr(module, sql), 0))
        module.SQLContext.execute = _sql(module.SQLContext.execute, 1)
        for database in ("read_database", "read_database_uri"):
            setattr(module, database, _from_database(getattr(module, database)))


def _telling(function: Any, skip: int = 0) -> Any:
    if getattr(function, "__mlrun_reader__", False):
        return function

    @functools.wraps(function)
    def telling(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        for value in [*args[skip : skip + 1], *(named[key] for key in _PATHS if key in named)]:
            tell(value)
        return function(*args, **named)

    telling.__mlrun_reader__ = True  # type: ignore[attr-defined]
    return telling


def _telling_class(kind: Any) -> Any:
    class Telling(kind):  # type: ignore[misc]
        def __init__(self, path: Any, *args: Any, **named: Any) -> None:
            if (args[0] if args else named.get("mode", "r")) not in ("w", "wb"):
                tell(path)

    Telling.__name__, Telling.__qualname__, Telling.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return Telling


def _far(kind: Any) -> Any:
    class Far(kind):  # type: ignore[misc]
        def __init__(self, *args: Any, **named: Any) -> None:
            recorder = audit.current()
            if recorder is not None and not recorder.ours:
                recorder.note(audit.NETWORK, f"pyarrow.fs.{kind.__name__}")
            super().__init__(*args, **named)

    Far.__name__, Far.__qualname__, Far.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return Far


def _wrap_local(module: ModuleType) -> None:
    base: Any = module.LocalFileSystem

    class LocalFileSystem(base):  # type: ignore[misc]
        def open_input_file(self, path: Any) -> Any:
            tell(path)
            return super().open_input_file(path)

        def open_input_stream(self, path: Any, *args: Any, **named: Any) -> Any:
            tell(path)
            return super().open_input_stream(path, *args, **named)

        def get_file_info(self, paths_or_selector: Any) -> Any:
            tell(getattr(paths_or_selector, "base_dir", paths_or_selector))
            return super().get_file_info(paths_or_selector)

    module.LocalFileSystem = LocalFileSystem  # type: ignore[attr-defined]


def _sql(function: Any, at: int) -> Any:
    @functools.wraps(function)
    def telling(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        query = args[at] if len(args) > at else named.get("query", "")
        recorder = audit.current()
        if recorder is not None and not recorder.ours and _SQL_READS.search(str(query)):
            recorder.note(audit.NATIVE, f"polars' SQL, which reads files: {' '.join(str(query).split())[:120]}")
        return function(*args, **named)

    return telling


def _from_database(function: Any) -> Any:
    @functools.wraps(function)
    def telling(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        recorder = audit.current()
        if recorder is not None and not recorder.ours:
            recorder.note(audit.NETWORK, "a database, by polars")
        return function(*args, **named)

    return telling


def tell(value: Any) -> None:
    """The recorder hears of a path, URL, or list of them; all else (bytes, open files, tables) is no file that is read here."""
    recorder = audit.current()
    if recorder is None or recorder.ours:
        return
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        # a model or table given as text is no path
        if isinstance(text, str) and len(text) < 4096 and "\n" not in text:
            recorder.path(text, direct=True)
    elif isinstance(value, list | tuple):
        for one in value[:1000]:
            tell(one)
