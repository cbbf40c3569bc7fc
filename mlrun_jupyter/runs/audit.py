"""What a run reads that nobody declared, seen from within its process by an audit hook.

Python tells the hook of every file that is opened, every folder listed, every connection and every program started. Libraries
that read in C++ or Rust without Python's knowledge are watched at their functions (:mod:`mlrun_jupyter.runs.readers`), or are
known by name and make the run's outputs unfit to be given again. What no hook sees is listed in ``docs/guide/reproduce.md``.

Not counted: the interpreter and what is installed (versions of these are recorded), the run's own folders, its declared inputs,
files that the run itself wrote before, and system files that libraries read on their own behalf.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import sysconfig
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE, FOLDER, NETWORK, PROGRAM, VARIABLE, NATIVE, ARTIFACT = "file", "folder", "network", "program", "environment", "library", "artifact"
ANY = "*"
MOST = 20
SPILL = "reads.jsonl"
# What a library asks the system for by itself. It says nothing about data.
HARMLESS = frozenset({"uname", "lscpu", "fc-list", "ldconfig", "nvidia-smi", "file", "sysctl", "getconf"})
SYSTEM = ("/proc", "/sys", "/dev", "/usr/share", "/usr/lib", "/lib", "/lib64", "/etc", "/run/systemd", "/usr/local/share", "/var/lib/dbus")
# Read by the standard library in C, where nobody can tell who asked
ALWAYS = ("/usr/share/zoneinfo", "/etc/localtime", "/dev/null", "/dev/urandom")
# Modules of the standard library through which code opens files; the frame behind them is who asked
THROUGH = frozenset(
    {"pathlib", "io", "codecs", "shutil", "os", "glob", "fileinput", "tempfile", "gzip", "bz2", "lzma", "tarfile", "zipfile", "_pyio",
     "posixpath", "fnmatch", "_local", "_glob", "__init__", "csv", "json", "collections", "abc", "_collections_abc", "contextlib", "_compression"}
)  # fmt: skip
# Data, in whatever folder they lie, is not what a library reads on its own behalf
DATA = (".csv", ".csv.gz", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".orc", ".jsonl", ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle", ".joblib", ".xlsx",
        ".db", ".sqlite", ".sqlite3", ".safetensors", ".pt", ".onnx")  # fmt: skip
CODE = (".py", ".pyc", ".so", ".pyd")
# They read files, databases or networks by themselves, and there is no function of theirs that could be watched
OPAQUE = frozenset(
    {"duckdb", "h5py", "netCDF4", "tables", "cv2", "rasterio", "pyogrio", "fiona", "osgeo", "deltalake", "connectorx", "tensorflow",
     "pyspark", "psycopg", "psycopg2", "psycopg_binary", "pyodbc", "MySQLdb", "grpc", "pycurl", "confluent_kafka", "pyreadstat", "vaex", "datatable",
     "lance", "lancedb", "tiledb", "jpype", "rpy2", "zmq", "adbc_driver_manager", "oracledb", "cffi", "lmdb", "rocksdict", "apsw"}
)  # fmt: skip


class Recorder:
    """Keeps what one run read.

    :param own: folders and files of the run and of its declared inputs.
    :param spill: where processes that the run forks write what they read.
    """

    def __init__(self, *, own: Collection[Path], spill: Path, digest: Callable[[str | None], str] = lambda value: "") -> None:
        self.pid = os.getpid()
        self.digest = digest
        self.spill = spill
        self.unseen: dict[str, None] = {}
        self.more = 0
        self.modules: set[str] = set()
        self.roots: set[str] = set()
        self.variables: dict[str, str] = {}
        self.seeds: dict[str, int] = {}
        self._imported_by_us: set[str] = set()
        self.written: set[str] = set()
        self._own = tuple(dict.fromkeys(form for path in own for form in (os.path.abspath(path), os.path.realpath(path))))
        self._libraries = _libraries()
        self._known: set[str] = set()
        self._user: dict[str, bool | None] = {}
        self._asked = threading.local()
        self.ours = 0

    # -- what was read --------------------------------------------------------------------------------------------

    def note(self, kind: str, what: str) -> None:
        """Remember that something was read that nobody declared."""
        text = f"{kind}: {what}"
        if text in self.unseen:
            return
        self._tell("unseen", text)
        if len(self.unseen) < MOST:
            self.unseen[text] = None
        else:
            self.more += 1

    def _tell(self, kind: str, *values: str) -> None:
        """In a process that the run has forked, what is known is lost at its end; so it is written down."""
        if os.getpid() != self.pid:
            with contextlib.suppress(OSError):
                file = os.open(self.spill, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.write(file, (json.dumps([kind, *values]) + "\n").encode())
                os.close(file)

    def _root(self, name: str) -> None:
        if name not in self.roots:
            self.roots.add(name)
            self._tell("root", name)

    def path(self, path: Any, *, kind: str = FILE, direct: bool = False) -> None:
        """A file or folder was read, whatever opened it.

        :param direct: by the run's own code for sure.
        """
        text = os.fsdecode(path)
        if "://" in text and not text.startswith("file://"):
            self.note(NETWORK, text)
            return
        text = text.removeprefix("file://")
        place = os.path.abspath(text)
        if place in self._known and not direct:
            return
        if self._allowed(place):
            self._known.add(place)
            return
        real = os.path.realpath(place)
        if real != place and self._allowed(real):
            return
        for library in self._libraries:
            if _within(real, library) or _within(place, library):
                self._known.add(place)
                # what lies beside a package belongs to its version
                if "-packages" in library:
                    inside = place if _within(place, library) else real
                    self._root(inside[len(library) + 1 :].partition(os.sep)[0].partition(".")[0])
                return
        if any(_within(place, folder) for folder in ALWAYS):
            self._known.add(place)
            return
        settings = any(_within(place, folder) for folder in _settings_of_libraries())
        there = os.path.exists(place) or "*" in place
        system = settings or (any(_within(place, folder) for folder in SYSTEM) and not place.lower().endswith(DATA))
        if (system or not there) and not direct and not self.by_user():
            return
        self._known.add(place)
        self.note(kind, _shown(place))

    def _allowed(self, place: str) -> bool:
        if any(_within(place, folder) for folder in self._own):
            return True
        # what the run has written itself, into whatever folder
        return place in self.written or any(parent in self.written for parent in _parents(place))

    def wrote(self, path: Any) -> None:
        """The run wrote this file (or made this folder) itself."""
        with contextlib.suppress(TypeError, ValueError):
            place = os.path.abspath(os.fsdecode(path))
            self.written.update((place, os.path.realpath(place)))

    def variable(self, name: str, value: str | None) -> None:
        """The run's code read an environment variable or secret."""
        if name not in self.variables:
            self.variables[name] = self.digest(value)
            self._tell("variable", name, self.variables[name])

    # -- who asked ------------------------------------------------------------------------------------------------

    def by_user(self) -> bool:
        """Whether the run's own code asked, directly or through the standard library."""
        frame: Any = sys._getframe(2)
        for _ in range(40):
            if frame is None:
                return False
            name = frame.f_code.co_filename
            if not name.startswith(_HERE):
                kind = self.user_code(name)
                if kind is not None:
                    return kind
            frame = frame.f_back
        return False

    def user_code(self, filename: str) -> bool | None:
        """Whether a file is code of the run; ``None``: pass on to who called it."""
        if filename not in self._user:
            self._user[filename] = self._is_user(filename)
        return self._user[filename]

    def _is_user(self, filename: str) -> bool | None:
        if filename.startswith("<ipython"):
            return True
        if filename.startswith("<"):
            return None
        if filename.startswith(_STDLIB) and "-packages" not in filename:
            return None if Path(filename).stem in THROUGH else False
        return not any(_within(filename, library) for library in self._libraries)

    # -- the events -----------------------------------------------------------------------------------------------

    def opened(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args[0], args[1], args[2]
        if isinstance(path, int) or path is None:
            return
        if flags:
            access = flags & os.O_ACCMODE
            fresh = flags & os.O_TRUNC or (flags & os.O_CREAT and flags & os.O_EXCL)
            writes = access == os.O_WRONLY or (access == os.O_RDWR and fresh)
            reads = not writes
            if access == os.O_WRONLY and not fresh and os.path.exists(path):
                # added to: what was there before is not the run's
                writes = False
        else:
            reads = not isinstance(mode, str) or "r" in mode or "+" in mode
            writes = not reads
        if flags & getattr(os, "O_DIRECTORY", 0):
            return
        if writes:
            self.wrote(path)
        if not reads:
            return
        frame: Any = sys._getframe(2)
        asker = frame.f_code.co_filename
        text = os.fsdecode(path)
        if asker.startswith("<frozen importlib") and text.endswith(CODE):
            self.module(text)
            return
        if text.endswith(".py") and asker.endswith(("linecache.py", "tokenize.py")):
            return
        self.path(path)

    def module(self, text: str) -> None:
        """A module was loaded from a file."""
        place = os.path.abspath(text)
        if place.endswith(".pyc") and os.path.basename(os.path.dirname(place)) == "__pycache__":
            stem = os.path.basename(place).partition(".")[0]
            place = os.path.join(os.path.dirname(os.path.dirname(place)), f"{stem}.py")
        if any(_within(place, own) for own in self._own):
            return
        for library in self._libraries:
            if _within(place, library):
                return
        if place not in self.modules:
            self.modules.add(place)
            self._tell("module", place)

    def imported(self, args: tuple[Any, ...]) -> None:
        root = str(args[0]).partition(".")[0]
        frame: Any = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename.startswith(("<frozen importlib", _IMPORTLIB)):
            frame = frame.f_back
        asker = str(frame.f_globals.get("__name__") or "").partition(".")[0] if frame is not None else ""
        # what we import, and what that imports, is not the run's
        if (asker in _OURS or asker in self._imported_by_us) and root not in self.roots:
            self._imported_by_us.add(root)
        else:
            self._imported_by_us.discard(root)
            self._root(root)
        if args[1]:
            self.module(str(args[1]))

    def listed(self, args: tuple[Any, ...]) -> None:
        if isinstance(args[0], int):
            return
        frame: Any = sys._getframe(2)
        # looking for modules and plugins among what is installed
        while frame is not None and frame.f_code.co_filename.startswith(_STDLIB) and "-packages" not in frame.f_code.co_filename:
            if frame.f_code.co_filename.startswith((_IMPORTLIB, _PKGUTIL)):
                return
            frame = frame.f_back
        if frame is None or frame.f_code.co_filename.startswith(("<frozen importlib", *_METADATA)):
            return
        if str(frame.f_globals.get("__name__") or "").partition(".")[0] in _PLUGIN_FINDERS:
            return
        self.path(args[0] if args[0] is not None else ".", kind=FOLDER)

    def made(self, args: tuple[Any, ...]) -> None:
        # the event comes before the call, which may find the folder there already
        if not os.path.exists(args[0]):
            self.wrote(args[0])

    def moved(self, args: tuple[Any, ...]) -> None:
        with contextlib.suppress(TypeError, ValueError):
            source = os.path.abspath(os.fsdecode(args[0]))
            if source in self.written:
                self.wrote(args[1])
            elif not self._allowed(source):
                self.written.discard(os.path.abspath(os.fsdecode(args[1])))

    def database(self, args: tuple[Any, ...]) -> None:
        text = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else ""
        if text and text != ":memory:" and "mode=memory" not in text:
            self.path(text.removeprefix("file:").partition("?")[0])

    def looked_up(self, args: tuple[Any, ...]) -> None:
        self._asked.host = (args[0].decode("idna") if isinstance(args[0], bytes) else args[0], args[1])

    def connected(self, args: tuple[Any, ...]) -> None:
        address = args[1]
        if isinstance(address, str | bytes):
            text = os.fsdecode(address)
            if "pymp-" not in text:
                self.note(NETWORK, f"socket {text}")
        elif isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str):
            host, port = getattr(self._asked, "host", (None, None))
            name = host if host and str(port) == str(address[1]) else address[0]
            self.note(NETWORK, f"{name}:{address[1]}")

    def bound(self, args: tuple[Any, ...]) -> None:
        if isinstance(args[1], tuple) and getattr(args[0], "family", None) in (socket.AF_INET, socket.AF_INET6):
            self.note(NETWORK, f"listened at {args[1][0] or '*'}:{args[1][1]}")

    def started(self, args: tuple[Any, ...]) -> None:
        command = args[1] if len(args) > 1 and args[1] else args[0]
        words = [os.fsdecode(word) for word in command] if isinstance(command, list | tuple) else [os.fsdecode(command)]
        if os.path.basename(words[0].split()[0] if words and words[0].split() else "") in HARMLESS and not self.by_user():
            return
        self.note(PROGRAM, " ".join(words)[:200])

    def shelled(self, args: tuple[Any, ...]) -> None:
        self.note(PROGRAM, os.fsdecode(args[0])[:200])

    def executed(self, args: tuple[Any, ...]) -> None:
        self.started((args[0], args[1]))

    def forked(self, args: tuple[Any, ...]) -> None:
        command = args[0] if args else ()
        self.started(("", list(command)))

    def loaded(self, args: tuple[Any, ...]) -> None:
        if args[0] is not None and self.by_user():
            self.note(NATIVE, os.fsdecode(args[0]))

    # -- the end --------------------------------------------------------------------------------------------------

    def report(self, static: Collection[str]) -> dict[str, Any]:
        """All of it.

        :param static: top-level modules that the run's code names in its imports; :data:`ANY` among them for whatever is loaded.
        """
        self._read_spill()
        unseen = dict(self.unseen)
        now = {name.partition(".")[0] for name in list(sys.modules)}
        roots = sorted((set(static) & now) | self.roots)
        for name in roots:
            if name in OPAQUE:
                unseen.setdefault(f"{NATIVE}: {name}", None)
        roots = sorted(now) if ANY in static else roots
        listed = list(unseen)[:MOST]
        more = len(unseen) - len(listed) + self.more
        return {
            "unseen": [*listed, *([f"and {more} more"] if more else [])], "modules": sorted(self.modules), "roots": roots,
            "loaded": sorted(now), "variables": dict(self.variables), "seeds": dict(self.seeds),
        }  # fmt: skip


    def _read_spill(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for line in self.spill.read_text(encoding="utf-8").splitlines():
                kind, *values = json.loads(line)
                if kind == "unseen":
                    self.unseen.setdefault(values[0], None)
                elif kind == "variable":
                    self.variables.setdefault(*values)
                else:
                    (self.roots if kind == "root" else self.modules).add(values[0])


EVENTS: dict[str, Callable[[Recorder, Any], None]] = {
    "open": Recorder.opened, "import": Recorder.imported, "os.listdir": Recorder.listed, "os.scandir": Recorder.listed, "os.mkdir": Recorder.made,
    "os.rename": Recorder.moved, "sqlite3.connect": Recorder.database, "socket.getaddrinfo": Recorder.looked_up,
    "socket.connect": Recorder.connected, "socket.sendto": Recorder.connected, "socket.bind": Recorder.bound, "subprocess.Popen": Recorder.started,
    "os.system": Recorder.shelled, "os.exec": Recorder.executed, "os.posix_spawn": Recorder.executed, "os.spawn": Recorder.executed,
    "ctypes.dlopen": Recorder.loaded, "mlrun.fork_exec": Recorder.forked,
}  # fmt: skip
_OURS = frozenset(
    {"mlrun_jupyter", "mlrun_jupyter_magics", "IPython", "ipykernel", "jupyter_client", "jupyter_core", "nbclient", "nbformat", "papermill",
     "matplotlib_inline", "traitlets", "sqlalchemy"}
)  # fmt: skip
# they list the folders of the module path for what is installed, as the standard library's own does
_PLUGIN_FINDERS = frozenset({"importlib_metadata", "importlib_resources", "pkg_resources", "stevedore"})
_active: list[Recorder] = []
_inside = threading.local()
_hooked: list[int] = []
_HERE = (__file__, str(Path(__file__).with_name("readers.py")))
_STDLIB = sysconfig.get_path("stdlib")
_IMPORTLIB, _PKGUTIL = os.path.join(_STDLIB, "importlib"), os.path.join(_STDLIB, "pkgutil.py")
# the backport of importlib.metadata, with which libraries look for their plugins
_METADATA = tuple(os.path.join(sysconfig.get_paths()[name], "importlib_metadata") for name in ("purelib", "platlib"))


def _hook(event: str, args: tuple[Any, ...]) -> None:
    rule = EVENTS.get(event)
    if rule is None or not _active:
        return
    recorder = _active[-1]
    if recorder.ours or getattr(_inside, "now", False):
        if event in ("open", "os.mkdir", "os.rename") and not getattr(_inside, "now", False):
            _note_written(recorder, event, args)
        return
    _inside.now = True
    try:
        rule(recorder, args)
    except Exception as error:
        # a hook that raises would fail the code it watches; but what could not be judged counts as read
        recorder.unseen.setdefault(f"{event}: {error!r}", None)
    finally:
        _inside.now = False


def _note_written(recorder: Recorder, event: str, args: tuple[Any, ...]) -> None:
    flags = args[2] if event == "open" else 0
    if (event == "os.mkdir" and not os.path.exists(args[0])) or (event == "open" and not isinstance(args[0], int) and flags & (os.O_WRONLY | os.O_RDWR)):
        recorder.wrote(args[0])
    elif event == "os.rename":
        recorder.wrote(args[1])


def start(recorder: Recorder) -> Recorder:
    """Watch this process from now on. A hook cannot be taken out again; it does nothing without a recorder."""
    if os.getpid() not in _hooked:
        if not _hooked:
            sys.addaudithook(_hook)
        _hooked.append(os.getpid())
    _watch_forks()
    _active[:] = [recorder]
    return recorder


def stop() -> None:
    """Watch no more."""
    _active.clear()


def current() -> Recorder | None:
    """The recorder of this process's run, if it has one."""
    return _active[-1] if _active else None


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """What is read within is not the run's code's doing: declared inputs are being opened."""
    recorder = current()
    if recorder is None:
        yield
        return
    recorder.ours += 1
    try:
        yield
    finally:
        recorder.ours -= 1


def _watch_forks() -> None:
    """multiprocessing and joblib start processes below the level that Python tells of."""
    import _posixsubprocess

    original = _posixsubprocess.fork_exec
    if getattr(original, "__mlrun__", False):
        return

    def fork_exec(*args: Any) -> Any:
        sys.audit("mlrun.fork_exec", args[0])
        return original(*args)

    fork_exec.__mlrun__ = True  # type: ignore[attr-defined]
    _posixsubprocess.fork_exec = fork_exec


class Variables(os._Environ):  # type: ignore[type-arg]
    """``os.environ``, which tells of what the run's code reads. The class of the one there is is changed to this."""

    def __getitem__(self, key: Any) -> Any:
        recorder = current()
        if recorder is None or not isinstance(key, str) or not recorder.by_user():
            return super().__getitem__(key)
        try:
            value = super().__getitem__(key)
        except KeyError:
            recorder.variable(key, None)
            raise
        recorder.variable(key, value)
        return value

    def __iter__(self) -> Any:
        recorder = current()
        if recorder is not None and recorder.by_user():
            recorder.note(VARIABLE, "all variables")
        return super().__iter__()


def watch_variables(environ: Any = None) -> None:
    """Have ``os.environ`` tell what is read of it."""
    (environ or os.environ).__class__ = Variables


@cache
def _installation() -> tuple[str, ...]:
    """Where this interpreter and what is installed for it lie; takes milliseconds to find out, and stays."""
    return tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts"))


def _libraries() -> tuple[str, ...]:
    paths = [*_installation()]
    paths += [entry for entry in sys.path if entry.endswith("-packages")]
    paths += [os.path.join(prefix, part) for prefix in {sys.prefix, sys.base_prefix} - {"/usr", "/usr/local"} for part in ("lib", "lib64", "bin", "share", "pyvenv.cfg")]
    here = Path(__file__).parents[1]
    paths += [str(here), str(here.parent / "kernel_magics" / "mlrun_jupyter_magics")]
    forms = {form for path in paths if path for form in (os.path.abspath(path), os.path.realpath(path))}
    # the longest first: a package belongs to site-packages, not to the folder around it
    return tuple(sorted(forms, key=len, reverse=True))


_homes: list[str] = []


def _settings_of_libraries() -> list[str]:
    """Folders in which libraries keep their caches and settings."""
    if not _homes:
        home = Path.home()
        wanted = [home / ".cache" / "matplotlib", home / ".cache" / "fontconfig", home / ".cache" / "mesa_shader_cache", home / ".config" / "matplotlib", home / ".ipython", home / ".jupyter", home / ".local" / "share" / "jupyter", home / ".netrc"]
        wanted += [Path(found) for name in ("MPLCONFIGDIR", "IPYTHONDIR") if (found := os.environ.get(name))]
        _homes.extend(os.path.abspath(folder) for folder in wanted)
    return _homes


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def _shown(place: str) -> str:
    """Relative to the working folder where it lies in it: no absolute path tells the user's name without need."""
    here = os.getcwd()
    return os.path.relpath(place, here) if _within(place, here) and place != here else place


def advice(unseen: str) -> str:
    """What to do about one entry of ``Record.unseen``."""
    kind, _, what = unseen.partition(": ")
    return {
        FILE: f"declare it: --input NAME={what}",
        FOLDER: f"declare the folder: --input NAME:path={what}",
        NETWORK: "fetch it in a run of its own, and give its output as an input",
        PROGRAM: "what a program reads cannot be seen; run it apart, and give its output as an input",
        VARIABLE: "ask for the variables that you need by name, or make them parameters",
        NATIVE: "it reads where nobody sees it; read the data with pandas, or give them as an input",
        ARTIFACT: f"declare it: --input NAME={what}",
    }.get(kind, "")


def describe(unseen: Collection[str]) -> list[str]:
    """The entries as sentences."""
    verbs: Mapping[str, str] = {
        FILE: "it read the file", FOLDER: "it listed the folder", NETWORK: "it used the network:", PROGRAM: "it started", VARIABLE: "it read",
        NATIVE: "it used the library", ARTIFACT: "it read the artifact",
    }  # fmt: skip
    lines = []
    for entry in unseen:
        kind, _, what = entry.partition(": ")
        if kind not in verbs:
            lines.append(entry)
            continue
        lines.append(f"{verbs[kind]} {what}, which no input declares" if kind in (FILE, FOLDER, ARTIFACT) else f"{verbs[kind]} {what}")
    return lines
