"""One handle for data wherever they lie: a file, a URL, an artifact."""

from __future__ import annotations

import difflib
import json
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlrun_jupyter.artifacts import models
from mlrun_jupyter.artifacts.content import digest
from mlrun_jupyter.artifacts.trust import trusted as trusted_digests
from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunInvalidArgumentError,
    MLRunMissingDependencyError,
    StoreUnreadableError,
    UntrustedArtifactError,
)
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.clock import amount

TABLES = (".parquet", ".pq", ".csv", ".tsv", ".csv.gz", ".csv.zip", ".json", ".jsonl", ".feather")
_DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "wasb": "adlfs", "http": "aiohttp", "https": "aiohttp"}


@dataclass(frozen=True)
class Stat:
    """``size`` in bytes, ``modified`` (a time with zone, or ``None``), ``content_type`` (may be empty)."""

    size: int
    modified: datetime | None
    content_type: str = ""


class DataItem:
    """Data at a path or URL, with the artifact's record where it is one.

    :ivar url: where the bytes are.
    :ivar artifact_url: the ``store://`` URI, when it is an artifact.
    :ivar meta: the artifact's record, or ``None``.

    >>> mlrun.get_dataitem("data/flights.parquet").as_df().head()
    """

    def __init__(
        self, url: str, *, key: str = "", artifact: Artifact | None = None, artifact_url: str = "",
        trusted: Collection[str] = (), home: Path | None = None,
    ) -> None:  # fmt: skip
        self.url = str(url)
        self.key = key or Path(self.url).stem
        self.meta = artifact
        self.artifact_url = artifact_url
        self._trusted = tuple(trusted)
        self._home = home
        self._copy: Path | None = None

    @property
    def kind(self) -> str:
        """The scheme: ``file``, ``s3``, …"""
        return self.url.partition("://")[0] if "://" in self.url else "file"

    store = kind

    @property
    def suffix(self) -> str:
        """Ending of the name: ``.parquet``, ``.csv.gz``."""
        name = self.url.rpartition("/")[2].lower()
        return next((suffix for suffix in TABLES if name.endswith(suffix)), Path(name).suffix)

    @property
    def _fs(self) -> tuple[Any, str]:
        import fsspec

        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(self.url)
            return found
        except ImportError as error:
            raise MLRunMissingDependencyError(
                f"{self.kind}:// needs a driver", why=str(error), next_step=f"pip install {_DRIVERS.get(self.kind, self.kind)}"
            ) from error
        except ValueError as error:
            raise MLRunInvalidArgumentError(
                f"{self.url!r} is no URL that can be read", why=str(error), next_step="use a path, s3://, gs://, az://, http://, …"
            ) from error

    def _missing(self, error: Exception | None = None) -> InputNotFoundError:
        near: list[str] = []
        if self.kind == "file":
            path = Path(self.url.removeprefix("file://"))
            if path.parent.is_dir():
                near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=3)
        return InputNotFoundError(
            f"there is nothing at {self.url}",
            why=f"near it are {', '.join(near)}" if near else str(error or "no such file or folder"),
            next_step="correct the path, or make the data first",
        )

    # -- bytes ----------------------------------------------------------------------------------------------------

    def open(self, mode: str = "rb", **options: Any) -> Any:
        """Open it as a file."""
        fs, path = self._fs
        try:
            return fs.open(path, mode, **options)
        except FileNotFoundError as error:
            raise self._missing(error) from error

    def get(self, size: int | None = None, offset: int = 0, encoding: str | None = None) -> Any:
        """The content (or ``size`` bytes from ``offset``), as bytes, or as text with an encoding."""
        with self.open("rb") as file:
            if offset:
                file.seek(offset)
            data: bytes = file.read() if size is None else file.read(size)
        return data.decode(encoding) if encoding else data

    def put(self, data: bytes | str, append: bool = False) -> None:
        """Replace the content, or add to it."""
        if self.kind in ("http", "https"):
            raise MLRunInvalidArgumentError(f"{self.url} can only be read", next_step="write to a file or an object store")
        fs, path = self._fs
        fs.makedirs(fs._parent(path), exist_ok=True)
        with fs.open(path, "ab" if append else "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)

    def download(self, target_path: str | Path) -> None:
        """Copy it to a local path."""
        fs, path = self._fs
        if not fs.exists(path):
            raise self._missing()
        fs.get(path, str(target_path), recursive=fs.isdir(path))

    def upload(self, src_path: str | Path) -> None:
        """Replace it by a local file or folder."""
        fs, path = self._fs
        fs.makedirs(fs._parent(path), exist_ok=True)
        fs.put(str(src_path), path, recursive=Path(src_path).is_dir())

    def delete(self) -> None:
        """Delete the content."""
        fs, path = self._fs
        fs.rm(path, recursive=True)

    def exists(self) -> bool:
        """Whether something is there."""
        fs, path = self._fs
        return bool(fs.exists(path))

    def stat(self) -> Stat:
        """Size, time of the last change, type."""
        fs, path = self._fs
        try:
            info = fs.info(path)
        except FileNotFoundError as error:
            raise self._missing(error) from error
        moment = info.get("mtime") or info.get("LastModified") or info.get("created")
        if isinstance(moment, int | float):
            moment = datetime.fromtimestamp(moment, UTC)
        return Stat(int(info.get("size") or 0), moment, str(info.get("ContentType") or info.get("mimetype") or ""))

    def ls(self) -> list[str]:
        """Names in the folder."""
        fs, path = self._fs
        try:
            return sorted(str(name).rstrip("/").rpartition("/")[2] for name in fs.ls(path, detail=False))
        except FileNotFoundError as error:
            raise self._missing(error) from error

    listdir = ls

    def local(self) -> str:
        """A local path: its own, or that of a temporary copy."""
        if self.kind == "file":
            path = Path(self.url.removeprefix("file://"))
            if not path.exists():
                raise self._missing()
            return str(path)
        if self._copy is None:
            self._copy = Path(tempfile.mkdtemp(prefix="mlrun-item-")) / (self.url.rstrip("/").rpartition("/")[2] or "item")
            self.download(self._copy)
        return str(self._copy)

    def remove_local(self) -> None:
        """Remove the temporary copy."""
        if self._copy is not None:
            shutil.rmtree(self._copy.parent, ignore_errors=True)
            self._copy = None

    # -- objects --------------------------------------------------------------------------------------------------

    @property
    def tabular(self) -> bool:
        """Whether it is a table that :meth:`as_df` reads."""
        if self.meta is not None and self.meta.packing.packager:
            return self.meta.kind == "dataset"
        return self.suffix in (suffix for suffix in TABLES if suffix != ".json")

    def as_df(self, columns: Sequence[str] | None = None, df_module: Any = None, format: str = "", **options: Any) -> Any:
        """The table as a frame.

        :param columns: read these alone.
        :param df_module: ``pandas`` (default), ``polars`` or ``dask.dataframe``.
        :param format: ``parquet csv tsv json jsonl feather`` when the name does not tell.
        :raises MLRunInvalidArgumentError: when it is no table.
        """
        suffix = f".{format}" if format else self.suffix
        library = getattr(df_module, "__name__", "pandas").partition(".")[0]
        if self.kind == "file" and not Path(self.url.removeprefix("file://")).exists():
            raise self._missing()
        if suffix in ("", ".dir") and any(name.endswith((".parquet", ".pq")) for name in (self.ls() if self._fs[0].isdir(self._fs[1]) else [])):
            suffix = ".parquet"
        names = {".pq": "parquet", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".csv.gz": "csv", ".csv.zip": "csv",
                 ".json": "json", ".jsonl": "json", ".feather": "feather"}  # fmt: skip
        if suffix not in names:
            raise MLRunInvalidArgumentError(
                f"{self.url} is no table that can be read", why=f"its ending is {suffix or 'none'!r}",
                next_step="pass format='parquet' or 'csv', or read it with open()",
            )  # fmt: skip
        if library == "polars":
            import polars as pl

            readers = {"parquet": pl.read_parquet, "csv": pl.read_csv, "json": pl.read_ndjson, "feather": pl.read_ipc}
            frame = readers[names[suffix]](self.local(), **options)
            return frame.select(list(columns)) if columns else frame
        import pandas as pd

        module = df_module or pd
        kind = names[suffix]
        if kind == "csv":
            options.setdefault("sep", "\t" if suffix == ".tsv" else ",")
            frame = module.read_csv(self.url, usecols=list(columns) if columns else None, **options)
        elif kind == "json":
            frame = module.read_json(self.url, lines=suffix == ".jsonl" or options.pop("lines", self._lines()), **options)
            frame = frame[list(columns)] if columns else frame
        else:
            frame = getattr(module, f"read_{kind}")(self.url, columns=list(columns) if columns else None, **options)
        return self._restored(frame) if module is pd else frame

    def _lines(self) -> bool:
        return bool(self.get(1) == b"{")

    def _restored(self, frame: Any) -> Any:
        arguments = self.meta.packing.arguments if self.meta is not None else {}
        if arguments.get("columns") and len(arguments["columns"]) == frame.shape[1]:
            names = [tuple(name) if isinstance(name, list) else name for name in arguments["columns"]]
            import pandas as pd

            frame.columns = pd.MultiIndex.from_tuples(names) if names and isinstance(names[0], tuple) else names
        return frame

    def as_object(self, trusted: Collection[str] = ()) -> Any:
        """The value that was stored as this artifact.

        :raises UntrustedArtifactError: for a pickle whose digest nobody trusts.
        :raises StoreUnreadableError: when the content is not what was stored.
        """
        packing = self.meta.packing if self.meta is not None else None
        packager = packing.packager if packing else ""
        if packager == "table" and packing is not None:
            return self._as_table(packing.arguments)
        path = Path(self.local())
        if packager.startswith("model."):
            self._verify(path)
            return models.load_model(path)
        if packager == "pickle" or path.suffix in (".pkl", ".pickle", ".joblib"):
            return self._unpickled(path, trusted)
        if packager == "array" or path.suffix == ".npy":
            import numpy as np

            return np.load(path, allow_pickle=False)
        if packager == "json" or (not packager and path.suffix == ".json"):
            return json.loads(path.read_text(encoding="utf-8"))
        if packager == "text" or (not packager and path.suffix in (".txt", ".md")):
            return path.read_text(encoding="utf-8")
        if packager == "bytes":
            return path.read_bytes()
        if (path / "model.skops").is_file() or (path / "MLmodel").is_file():
            return models.load_model(path)
        return path

    def _as_table(self, arguments: dict[str, Any]) -> Any:
        if arguments.get("library") == "polars":
            import polars as pl

            return self.as_df(df_module=pl)
        if arguments.get("library") == "pyarrow":
            import pyarrow.parquet as pq

            return pq.read_table(self.local())
        frame = self.as_df()
        if arguments.get("series"):
            series = frame.iloc[:, 0]
            return series.rename(None) if arguments.get("unnamed") else series
        return frame

    def _verify(self, path: Path) -> str:
        found = digest(path).digest
        if self.meta is not None and self.meta.digest and found != self.meta.digest:
            raise StoreUnreadableError(
                f"{self.artifact_url or self.url} was changed since it was stored",
                why=f"its SHA-256 is {found[:12]}…, recorded is {self.meta.digest[:12]}…",
                next_step="make it anew with the run that made it",
            )
        return found

    def _unpickled(self, path: Path, trusted: Collection[str]) -> Any:
        found = self._verify(path)
        if found not in {*self._trusted, *trusted, *trusted_digests(self._home)}:
            raise UntrustedArtifactError(
                f"{self.artifact_url or self.url} is a pickle, and loading a pickle can execute any code",
                why=f"its SHA-256 {found} is not trusted",
                next_step=f"if you know who made it: mlrun.trust({self.key!r}, {found!r})",
            )
        import cloudpickle

        return cloudpickle.loads(path.read_bytes())

    # -- showing --------------------------------------------------------------------------------------------------

    def show(self, format: str = "") -> None:
        """Display it: the head of a table, an image, HTML, JSON, or its beginning as text."""
        from IPython.display import HTML, JSON, Image, display

        suffix = f".{format}" if format else self.suffix
        if self.tabular:
            display(self.as_df().head(20))
        elif suffix in (".png", ".jpg", ".jpeg"):
            display(Image(data=self.get()))
        elif suffix == ".html":
            import base64

            page = base64.b64encode(self.get()).decode()
            # in a frame without rights, so that a page cannot act for the user; the comment in front keeps IPython from
            # advising another frame, which has these rights
            display(HTML(f'<!-- --><iframe sandbox="allow-scripts" width="100%" height="500" style="border: 0" src="data:text/html;base64,{page}"></iframe>'))
        elif suffix == ".json":
            display(JSON(json.loads(self.get())))
        else:
            print(self.get(5000).decode("utf-8", "replace"))  # noqa: T201

    def __fspath__(self) -> str:
        return self.local()

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        size = f", {amount(self.meta.size)}" if self.meta is not None else ""
        return f"<DataItem {self.artifact_url or self.url}{size}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<code>{escape(repr(self))}</code>"
