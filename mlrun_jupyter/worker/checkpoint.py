"""The names that later cells need, stored at each boundary between the cells of a run, and restored in the run that goes on.

``checkpoints/<number of cells done>.json`` in the run's folder says what there is; values lie beside it under the hash of their
content, so that what did not change is written once. A manifest is put in place only when all that it names is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mlrun_jupyter.model.order import Order
from mlrun_jupyter.notebooks.needs import needs
from mlrun_jupyter.runs import audit, codec
from mlrun_jupyter.runs.checkpoints import FOLDER, Manifest, bodies, read


def install(shell: Any, order: Order) -> None:
    """Have the shell store the names after each body cell."""
    cells = bodies(order)
    if shell is None or order.checkpoint_limit <= 0 or not cells:
        return
    keeper = Keeper(order, cells, shell.user_ns)
    shell.events.register("post_run_cell", keeper.after_cell)


class Keeper:
    """Stores names. One for each shell."""

    def __init__(self, order: Order, cells: list[str], names: Mapping[str, Any]) -> None:
        self.order = order
        self.cells = cells
        self.names = names
        self.folder = Path(order.folder) / FOLDER
        self.done = order.resume_cell if order.resume else 0
        self._environ = dict(os.environ)
        self._path = list(sys.path)
        self._prints: dict[str, tuple[int, str, Manifest]] = {}

    def after_cell(self, result: Any) -> None:
        """Called by the shell when a cell has ended."""
        if self.done >= len(self.cells) or str(result.info.raw_cell).rstrip("\n") != self.cells[self.done] or not result.success:
            return
        self.done += 1
        with audit.ours():
            try:
                self.save()
            except Exception as error:
                # without a checkpoint the run is none the worse, it can only be resumed from farther back
                self._put({"cell": self.done, "error": f"{type(error).__name__}: {error}"})

    def save(self) -> None:
        """Store what the cells to come need."""
        began = time.monotonic()
        needed = needs(self.cells, self.done, outputs=[output.name for output in self.order.function.returns if output.name])
        self.folder.mkdir(parents=True, exist_ok=True)
        entries: dict[str, Manifest] = {}
        missing = dict(needed.broken)
        parts: dict[int, Any] = {}
        whole: dict[int, str] = {}
        for name in needed.names:
            if name not in self.names:
                continue
            value = self.names[name]
            if id(value) in whole and not isinstance(value, int | float | str | bytes | bool | type(None)):
                entries[name] = {"same": whole[id(value)]}
                continue
            whole[id(value)] = name
            try:
                entries[name] = self._store(name, value, parts)
            except codec.Unstorable as error:
                missing[name] = str(error)
            except Exception as error:
                missing[name] = f"{type(error).__name__}: {error}"
        manifest = {
            "cell": self.done, "names": entries, "missing": missing, "definitions": needed.definitions, "state": self._state(),
            "seconds": round(time.monotonic() - began, 3),
        }  # fmt: skip
        self._make_room(manifest)
        self._put(manifest)

    def _store(self, name: str, value: Any, parts: dict[int, Any]) -> Manifest:
        mark = _fingerprint(value)
        known = self._prints.get(name)
        if mark and known and known[:2] == (id(value), mark) and (self.folder / known[2]["file"]).is_file():
            if id(value) in parts:
                raise codec.Unstorable("it shares its memory with another value")
            parts[id(value)] = value
            return known[2]
        kind, data = codec.encode(value, parts)
        if len(data) > self.order.checkpoint_limit:
            raise codec.Unstorable(f"it has {len(data):,} bytes, more than the limit of {self.order.checkpoint_limit:,}")
        file = hashlib.sha256(data).hexdigest()
        if not (self.folder / file).is_file():
            draft = self.folder / f".{file}.{os.getpid()}"
            draft.write_bytes(data)
            draft.replace(self.folder / file)
        entry = {"codec": kind, "file": file, "size": len(data), "type": type(value).__qualname__}
        if mark:
            self._prints[name] = (id(value), mark, entry)
        return entry

    def _state(self) -> dict[str, Any]:
        """What is not in any name, and later cells may still lean on."""
        state: dict[str, Any] = {
            "folder": str(Path.cwd()), "random": _random_state(), "path": [entry for entry in sys.path if entry not in self._path],
            "environ": {
                name: os.environ.get(name) for name in {*os.environ, *self._environ} if os.environ.get(name) != self._environ.get(name)
            },
        }  # fmt: skip
        numpy = sys.modules.get("numpy.random")
        if numpy is not None:
            kind, keys, position, has, cached = numpy.get_state()
            state["numpy"] = [kind, [int(key) for key in keys], int(position), int(has), float(cached)]
        return state

    def _make_room(self, manifest: Manifest) -> None:
        """Within the limit; the values of earlier boundaries go first."""
        needed = {entry["file"] for entry in manifest["names"].values() if "file" in entry}
        size = sum((self.folder / file).stat().st_size for file in needed)
        if size > self.order.checkpoint_limit:
            largest = sorted(((entry["size"], name) for name, entry in manifest["names"].items() if "size" in entry), reverse=True)
            for one, name in largest:
                if size <= self.order.checkpoint_limit:
                    break
                size -= one
                manifest["missing"][name] = f"the names together have more bytes than the limit of {self.order.checkpoint_limit:,}"
                del manifest["names"][name]
            gone = {name for name, entry in manifest["names"].items() if entry.get("same") in manifest["missing"]}
            for name in gone:
                manifest["missing"][name] = f"it is the same object as {manifest['names'].pop(name)['same']}"
            needed = {entry["file"] for entry in manifest["names"].values() if "file" in entry}
        held = {path.name: path.stat().st_size for path in self.folder.iterdir() if not path.name.startswith(".") and path.suffix != ".json"}
        for earlier in range(1, self.done):
            if sum(held.values()) <= self.order.checkpoint_limit:
                return
            old = read(Path(self.order.folder), earlier)
            later = {entry.get("file") for n in range(earlier + 1, self.done) for entry in (read(Path(self.order.folder), n) or {}).get("names", {}).values()}
            (self.folder / f"{earlier}.json").unlink(missing_ok=True)
            for entry in (old or {}).get("names", {}).values():
                if entry.get("file") and entry["file"] not in needed | later:
                    (self.folder / entry["file"]).unlink(missing_ok=True)
                    held.pop(entry["file"], None)

    def _put(self, manifest: Manifest) -> None:
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            target = self.folder / f"{manifest['cell']}.json"
            draft = target.with_name(f".{target.name}.{os.getpid()}")
            draft.write_text(json.dumps(manifest), encoding="utf-8")
            draft.replace(target)


def take_over(order: Order) -> None:
    """Have the checkpoints of the run that this one goes on with, so that it can be gone on with in turn."""
    source, target = Path(order.resume) / FOLDER, Path(order.folder) / FOLDER
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name.startswith(".") or (file.suffix == ".json" and int(file.stem) > order.resume_cell):
            continue
        try:
            os.link(file, target / file.name)
        except OSError:
            (target / file.name).write_bytes(file.read_bytes())


def restore(order: Order, names: MutableMapping[str, Any]) -> list[str]:
    """Put the stored names back; returns them."""
    manifest = read(Path(order.folder), order.resume_cell)
    assert manifest is not None, "take_over() has brought it"
    with audit.ours():
        for name, entry in manifest["names"].items():
            if "file" in entry:
                names[name] = codec.decode(entry["codec"], (Path(order.folder) / FOLDER / entry["file"]).read_bytes())
        for name, entry in manifest["names"].items():
            if "same" in entry:
                names[name] = names[entry["same"]]
    state = manifest["state"]
    with contextlib.suppress(OSError):
        os.chdir(state["folder"])
    sys.path[:0] = state["path"]
    for name, value in state["environ"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    version, words, gauss = state["random"]
    random.setstate((version, tuple(words), gauss))
    if "numpy" in state:
        import numpy as np

        kind, keys, position, has, cached = state["numpy"]
        np.random.set_state((kind, np.array(keys, dtype="uint32"), position, has, cached))
    return list(manifest["names"])


def _random_state() -> list[Any]:
    version, words, gauss = random.getstate()
    return [version, list(words), gauss]


def _fingerprint(value: Any) -> str:
    """A hash of an array's or frame's memory, which is quicker than storing it; empty for what has no such memory."""
    root, kind = type(value).__module__.partition(".")[0], type(value).__name__
    digest = hashlib.blake2b(digest_size=16)
    if root == "numpy" and kind == "ndarray" and not value.dtype.hasobject and value.flags.c_contiguous and value.size:
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(memoryview(value.reshape(-1).view("uint8")))
        return digest.hexdigest()
    if root == "pandas" and kind == "DataFrame":
        if type(value.index).__name__ != "RangeIndex" or value.attrs:
            return ""
        digest.update(repr((value.index, list(value.columns), [str(dtype) for dtype in value.dtypes])).encode())
        for at in range(value.shape[1]):
            column = value.iloc[:, at]
            if getattr(column.dtype, "kind", "O") not in "iufbMm" or not hasattr(column.dtype, "char"):
                return ""
            array = column.to_numpy()
            digest.update(memoryview((array if array.flags.c_contiguous else array.copy()).view("uint8").reshape(-1)))
        return digest.hexdigest()
    return ""
