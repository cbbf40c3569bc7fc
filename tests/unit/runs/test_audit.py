"""Ways of reading something that nobody declared: each is seen, or is said to be out of sight."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

# way of reading -> what must be seen, as the beginning of an entry; a set of them where libraries differ
SEEN = {
    "open": ("open('data.csv').read()", "file: data.csv"),
    "open in binary": ("open(b'data.csv', 'rb').read()", "file: data.csv"),
    "open to update": ("open('data.csv', 'r+').read()", "file: data.csv"),
    "open to append and read": ("f = open('data.csv', 'a+'); f.seek(0); f.read()", "file: data.csv"),
    "os.open": ("import os; os.read(os.open('data.csv', os.O_RDONLY), 5)", "file: data.csv"),
    "pathlib": ("from pathlib import Path; Path('data.csv').read_text()", "file: data.csv"),
    "a link": ("open('link.csv').read()", "file: link.csv"),
    "an absolute path": ("open(str(here / 'data.csv')).read()", "file: data.csv"),
    "a path with dots": ("open('folder/../data.csv').read()", "file: data.csv"),
    "np.load": ("import numpy as np; np.load('data.npy')", "file: data.npy"),
    "np.load with mmap": ("import numpy as np; np.load('data.npy', mmap_mode='r')", "file: data.npy"),
    "np.fromfile": ("import numpy as np; np.fromfile('data.npy')", "file: data.npy"),
    "np.loadtxt": ("import numpy as np; np.loadtxt('numbers.txt')", "file: numbers.txt"),
    "np.memmap": ("import numpy as np; np.memmap('data.npy', mode='r')", "file: data.npy"),
    "mmap": ("import mmap; mmap.mmap(open('data.csv', 'rb').fileno(), 0, access=mmap.ACCESS_READ)[:3]", "file: data.csv"),
    "pd.read_csv": ("import pandas as pd; pd.read_csv('data.csv')", "file: data.csv"),
    "pd.read_csv by pyarrow": ("import pandas as pd; pd.read_csv('data.csv', engine='pyarrow')", "file: data.csv"),
    "pd.read_parquet": ("import pandas as pd; pd.read_parquet('data.parquet')", "file: data.parquet"),
    "pd.read_parquet of a folder": ("import pandas as pd; pd.read_parquet('parts')", "file: parts"),
    "pd.read_feather": ("import pandas as pd; pd.read_feather('data.feather')", "file: data.feather"),
    "pd.read_json": ("import pandas as pd; pd.read_json('data.json')", "file: data.json"),
    "pd.read_pickle": ("import pandas as pd; pd.read_pickle('data.pkl')", "file: data.pkl"),
    "pq.read_table": ("import pyarrow.parquet as pq; pq.read_table('data.parquet')", "file: data.parquet"),
    "pq.ParquetFile": ("import pyarrow.parquet as pq; pq.ParquetFile('data.parquet').read()", "file: data.parquet"),
    "from pq import": ("from pyarrow.parquet import read_table; read_table('data.parquet')", "file: data.parquet"),
    "pyarrow.dataset": ("import pyarrow.dataset as ds; ds.dataset('parts').to_table()", "file: parts"),
    "pyarrow.csv": ("from pyarrow import csv; csv.read_csv('data.csv')", "file: data.csv"),
    "pyarrow.memory_map": ("import pyarrow as pa; pa.memory_map('data.csv').read()", "file: data.csv"),
    "pyarrow.OSFile": ("import pyarrow as pa; pa.OSFile('data.csv').read()", "file: data.csv"),
    "pyarrow.fs": ("from pyarrow import fs; fs.LocalFileSystem().open_input_file('data.csv').read()", "file: data.csv"),
    "pl.read_csv": ("import polars as pl; pl.read_csv('data.csv')", "file: data.csv"),
    "pl.read_parquet": ("import polars as pl; pl.read_parquet('data.parquet')", "file: data.parquet"),
    "pl.scan_csv": ("import polars as pl; pl.scan_csv('data.csv').collect()", "file: data.csv"),
    "pl.scan_parquet with a pattern": ("import polars as pl; pl.scan_parquet('parts/*.parquet').collect()", "file: parts/*.parquet"),
    "pl.scan of a list": ("import polars as pl; pl.scan_csv(['data.csv']).collect()", "file: data.csv"),
    "pl.sql": ("import polars as pl; pl.sql(\"select * from read_csv('data.csv')\").collect()", "library: polars' SQL"),
    "fsspec": ("import fsspec; fsspec.open('file://' + str(here / 'data.csv')).open().read()", "file: data.csv"),
    "sqlite3": ("import sqlite3; sqlite3.connect('data.db').execute('select * from t').fetchall()", "file: data.db"),
    "sqlalchemy": ("import sqlalchemy as sa; sa.create_engine('sqlite:///data.db').connect().exec_driver_sql('select * from t').all()", "file: data.db"),
    "lightgbm's own reader": ("import lightgbm as lgb; lgb.Dataset('numbers.txt').construct()", "file: numbers.txt"),
    "zipfile": ("import zipfile; zipfile.ZipFile('data.zip').namelist()", "file: data.zip"),
    "gzip": ("import gzip; gzip.open('data.csv.gz').read()", "file: data.csv.gz"),
    "shutil.copy": ("import shutil; shutil.copy('data.csv', run / 'copy.csv')", "file: data.csv"),
    "a copy, renamed": ("import os, shutil; shutil.copy('data.csv', run / 'x'); os.rename(run / 'x', run / 'y'); open(run / 'y').read()", "file: data.csv"),
    "os.listdir": ("import os; os.listdir('folder')", "folder: folder"),
    "os.listdir of here": ("import os; os.listdir()", "folder: "),
    "os.scandir": ("import os; list(os.scandir('folder'))", "folder: folder"),
    "os.walk": ("import os; list(os.walk('folder'))", "folder: folder"),
    "glob": ("import glob; glob.glob('folder/*')", "folder: folder"),
    "Path.glob": ("from pathlib import Path; list(Path('folder').glob('*'))", "folder: folder"),
    "runpy": ("import runpy; runpy.run_path('script.py')", "file: script.py"),
    "exec of a file": ("exec(open('script.py').read())", "file: script.py"),
    "pkgutil.get_data": ("import pkgutil; pkgutil.get_data('loose', 'data.csv')", "file: data.csv"),
    "a system file by the code itself": ("open('/etc/hostname').read()", "file: /etc/hostname"),
    "data in a cache folder by a library": ("import pandas as pd, pathlib; pd.read_csv(pathlib.Path.home() / '.cache' / 'some' / 'data.csv')", "file: home/.cache/some/data.csv"),
    "a cache of a library": ("import pathlib; open(pathlib.Path.home() / '.cache' / 'some' / 'words').read()", "file: home/.cache/some/words"),
    "a file that is not there": ("import os\ntry:\n    open('not-yet.csv')\nexcept FileNotFoundError:\n    pass", "file: not-yet.csv"),
    "makedirs of a folder that is there": ("import os; os.makedirs('folder', exist_ok=True); open('folder/one.txt').read()", "file: folder/one.txt"),
    "socket": ("import socket; socket.create_connection(('127.0.0.1', PORT)).recv(3)", "network: 127.0.0.1:PORT"),
    "urllib": ("import urllib.request; urllib.request.urlopen('http://localhost:PORT/x', timeout=5).read()", "network: localhost:PORT"),
    "requests": ("import requests; requests.get('http://localhost:PORT/x', timeout=5)", "network: localhost:PORT"),
    "pandas of a URL": ("import pandas as pd; pd.read_csv('http://localhost:PORT/x')", "network: localhost:PORT"),
    "asyncio": ("import asyncio\nasync def f():\n    r, w = await asyncio.open_connection('127.0.0.1', PORT)\n    await r.read(3)\nasyncio.run(f())", "network: 127.0.0.1:PORT"),
    "a server of its own": ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0))", "network: listened"),
    "subprocess": ("import subprocess; subprocess.run(['cat', 'data.csv'], capture_output=True)", "program: cat data.csv"),
    "os.popen": ("import os; os.popen('cat data.csv').read()", "program: /bin/sh"),
    "os.system": ("import os; os.system('true')", "program: true"),
    "os.posix_spawn": ("import os; os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)", "program: true"),
    "a forked child": ("import os\npid = os.fork()\nif pid == 0:\n    open('data.csv').read()\n    os._exit(0)\nos.waitpid(pid, 0)", "file: data.csv"),
    "multiprocessing, forked": ("import multiprocessing as mp\nwith mp.get_context('fork').Pool(1) as pool:\n    pool.map(open, ['data.csv'])[0:0]", "file: data.csv"),
    "multiprocessing, spawned": ("import multiprocessing as mp\np = mp.get_context('spawn').Process(target=print)\np.start(); p.join()", "program: "),
    "a thread": ("import threading; t = threading.Thread(target=lambda: open('data.csv').read()); t.start(); t.join()", "file: data.csv"),
    "ctypes": ("import ctypes; ctypes.CDLL('libc.so.6').getpid()", "library: libc.so.6"),
    "all variables": ("import os; dict(os.environ)", "environment: all variables"),
}  # fmt: skip

# no entry: these are no undeclared reads
NOT_COUNTED = {
    "a declared file": "open('declared.csv').read()",
    "a declared file by polars": "import polars as pl; pl.read_csv('declared.csv')",
    "a file of a declared folder": "import pandas as pd, os; os.listdir('declared'); pd.read_csv('declared/one.csv')",
    "what it wrote itself": "open('made.csv', 'w').write('a\\n1\\n'); open('made.csv').read()",
    "what it wrote and renamed": "import os; open('m.tmp', 'w').write('x'); os.replace('m.tmp', 'm.txt'); open('m.txt').read()",
    "in a folder that it made": "import os; os.makedirs('new'); open('new/a', 'w').write('x'); os.listdir('new'); open('new/a').read()",
    "a temporary file": "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as f:\n    f.write('x'); f.flush(); open(f.name).read()",
    "writing alone": "open('only-written.csv', 'w').write('x')",
    "the run's own folder": "(run / 'x').write_text('x'); (run / 'x').read_text()",
    "packages and their data": "import sklearn.datasets; sklearn.datasets.load_iris()",
    "time zones": "import zoneinfo, pandas as pd; zoneinfo.ZoneInfo('Europe/Berlin'); pd.Timestamp.now(tz='Asia/Tokyo')",
    "a figure": "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt; plt.plot([1]); plt.savefig(run / 'f.png')",
    "fitting a model": "from sklearn.ensemble import RandomForestClassifier as R; R(5, n_jobs=2).fit([[0], [1]], [0, 1]).predict([[1]])",
    "a database in memory": "import sqlite3; sqlite3.connect(':memory:').execute('select 1')",
    "logging and warnings": "import logging, warnings; logging.warning('x'); warnings.warn('y')",
    "a traceback of a module": "import loose, traceback\ntry:\n    loose.fail()\nexcept ValueError:\n    traceback.format_exc()",
    "tables from bytes": "import io, pandas as pd, polars as pl; pd.read_csv(io.StringIO('a\\n1')); pl.read_csv(b'a\\n1')",
}  # fmt: skip

# Said to be out of sight in docs/guide/reproduce.md; this list keeps that page honest
OUT_OF_SIGHT = {
    "the clock": "import time; time.time()",
    "random numbers of the system": "import os; os.urandom(4)",
    "whether a file is there": "import os; os.path.exists('data.csv'); os.stat('data.csv')",
    "the working folder and the host": "import os, socket; os.getcwd(); socket.gethostname()",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict]]:
    folder = tmp_path_factory.mktemp("audit")
    prepare(folder)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        threading.Thread(target=_answer, args=(server,), daemon=True).start()
        codes = {name: code for name, (code, _) in SEEN.items()} | NOT_COUNTED | OUT_OF_SIGHT | MORE
        cases = folder / "cases.json"
        cases.write_text(json.dumps({name: code.replace("PORT", port) for name, code in codes.items()}))
        environ = {**os.environ, "SOME": "value", "MPLCONFIGDIR": str(folder.parent / "mpl"), "HOME": str(folder / "home")}
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("reading.py")), str(folder), str(cases)],
            capture_output=True, text=True, check=False, env=environ,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for report in found.values():
        report["unseen"] = [text.replace(port, "PORT") for text in report.get("unseen", ())]
    yield found


def prepare(folder: Path) -> None:
    import sqlite3
    import zipfile

    import numpy as np
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    frame.to_csv(folder / "data.csv", index=False)
    frame.to_csv(folder / "data.csv.gz", index=False)
    (folder / "home" / ".cache" / "some").mkdir(parents=True)
    frame.to_csv(folder / "home" / ".cache" / "some" / "data.csv", index=False)
    (folder / "home" / ".cache" / "some" / "words").write_text("a")
    frame.to_csv(folder / "declared.csv", index=False)
    frame.to_parquet(folder / "data.parquet")
    frame.to_feather(folder / "data.feather")
    frame.to_json(folder / "data.json")
    frame.to_pickle(folder / "data.pkl")
    for name in ("parts", "folder", "declared"):
        (folder / name).mkdir()
    frame.to_parquet(folder / "parts" / "one.parquet")
    frame.to_csv(folder / "declared" / "one.csv", index=False)
    (folder / "folder" / "one.txt").write_text("1")
    np.save(folder / "data.npy", np.arange(3.0))
    np.savetxt(folder / "numbers.txt", np.arange(60).reshape(30, 2))
    (folder / "link.csv").symlink_to(folder / "data.csv")
    (folder / "script.py").write_text("x = 1\n")
    (folder / "loose.py").write_text("def fail():\n    raise ValueError('x')\n")
    with sqlite3.connect(folder / "data.db") as db:
        db.execute("create table t (a int)")
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        archive.writestr("a", "b")


def _answer(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 4\r\n\r\na\n1\n")
            connection.shutdown(socket.SHUT_WR)
            try:
                connection.recv(4096)
            except OSError:
                continue


MORE = {
    "a loose module": "import importlib; importlib.import_module('loose')",
    "variables by name": "import os; os.environ.get('SOME'); os.getenv('OTHER'); 'THIRD' in os.environ",
    "packages that the code imports": "import polars",
    "a package that is loaded already": "import pandas",
}


@pytest.mark.parametrize("name", SEEN)
def test_what_nobody_declared_is_seen(reports: dict[str, dict], name: str) -> None:
    report = reports[name]
    assert any(text.startswith(SEEN[name][1]) for text in report["unseen"]), report


@pytest.mark.parametrize("name", NOT_COUNTED)
def test_what_is_the_runs_own_is_not_counted(reports: dict[str, dict], name: str) -> None:
    assert reports[name]["unseen"] == [] and not reports[name]["error"], reports[name]


@pytest.mark.parametrize("name", OUT_OF_SIGHT)
def test_what_is_out_of_sight_is_said_to_be(reports: dict[str, dict], name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "guide" / "reproduce.md").read_text(encoding="utf-8")
    assert reports[name]["unseen"] == []
    assert name in page, "the guide must say so"


def test_loose_modules_are_recorded(reports: dict[str, dict]) -> None:
    assert [Path(path).name for path in reports["a loose module"]["modules"]] == ["loose.py"]
    assert reports["a loose module"]["unseen"] == []


def test_variables_are_recorded_with_their_digests(reports: dict[str, dict]) -> None:
    assert reports["variables by name"]["variables"] == {"SOME": "value", "OTHER": "None", "THIRD": "None"}


def test_packages_are_recorded(reports: dict[str, dict]) -> None:
    assert "polars" in reports["packages that the code imports"]["roots"]
