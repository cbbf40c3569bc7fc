"""The artifacts package behind the contract that contexts use (:mod:`mlrun_jupyter.protocols.values`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlrun_jupyter.artifacts import models, packing
from mlrun_jupyter.artifacts.dataitem import DataItem
from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model.artifact import Artifact


class ArtifactValues:
    """Packs, unpacks and opens values.

    :param home: where trusted digests are listed; ``None`` outside any home folder.
    """

    def __init__(self, home: Path | None) -> None:
        self.home = home

    def pack(
        self, key: str, value: Any, *, folder: Path, artifact_type: str = "", format: str = "", **options: Any
    ) -> packing.Packed:
        return packing.pack(key, value, folder=folder, artifact_type=artifact_type, format=format, **options)

    def options(self, value: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
        found = models.training_set(value, variables) if models.flavor_of(value) else None
        return {} if found is None else {"training_set": found}

    def pack_model(self, key: str, value: Any, *, folder: Path, **options: Any) -> Artifact:
        return models.pack_model(key, value, folder=folder, **options)

    def is_result(self, packed: Any) -> bool:
        return packed.artifact is None

    def item(
        self, url: str, *, key: str = "", artifact: Artifact | None = None, uri: str = "", trusted: Collection[str] = ()
    ) -> DataItem:
        return DataItem(url, key=key, artifact=artifact, artifact_url=uri, trusted=trusted, home=self.home)

    def load(self, item: DataItem, kind: str) -> Any:
        """What a cell's variable holds, for the declared type (see :class:`mlrun_jupyter.model.function.Input`)."""
        kind = {"pandas.DataFrame": "DataFrame", "pd.DataFrame": "DataFrame", "pl.DataFrame": "polars.DataFrame"}.get(kind, kind)
        if kind == "DataItem":
            return item
        if kind == "DataFrame":
            return item.as_df()
        if kind == "polars.DataFrame":
            import polars

            return item.as_df(df_module=polars)
        if kind in ("dask", "dask.DataFrame"):
            import dask.dataframe

            return item.as_df(df_module=dask.dataframe)
        if kind == "path":
            return Path(item.local())
        if kind == "str":
            return item.get(encoding="utf-8")
        if kind == "bytes":
            return item.get()
        if kind in ("object", "model"):
            return item.as_object()
        if kind:
            raise MLRunInvalidArgumentError(
                f"input {item.key!r} is declared as {kind!r}, which no input can be",
                why="types are DataFrame, polars.DataFrame, dask, DataItem, path, str, bytes, object",
                next_step="use one of these, or leave the type out to go by the content",
            )
        if item.meta is not None and item.meta.packing.packager and item.meta.kind in ("dataset", "model", "artifact"):
            if item.meta.packing.packager in ("path", "files"):
                return item
            return item.as_object()
        return item.as_df() if item.tabular else item

    def restore(self, item: DataItem, hint: Any) -> Any:
        """What a handler's parameter gets for its hint."""
        name = hint if isinstance(hint, str) else f"{getattr(hint, '__module__', '')}.{getattr(hint, '__qualname__', hint)}"
        short = name.rpartition(".")[2]
        if short == "DataItem":
            return item
        if name in ("builtins.str", "str"):
            return item.local()
        if short in ("Path", "PosixPath", "PurePath"):
            return Path(item.local())
        if name in ("builtins.bytes", "bytes"):
            return item.get()
        if short == "DataFrame":
            if name.startswith(("dask", "dd.")):
                return self.load(item, "dask")
            return self.load(item, "polars.DataFrame" if name.startswith(("polars", "pl.")) else "DataFrame")
        return item.as_object()

    def upload(self, source: Path, url: str) -> None:
        self.item(url).upload(source)
