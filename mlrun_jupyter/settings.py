"""Settings: one frozen document, and where its values come from.

In order: environment variables ``MLRUN_JUPYTER_<NAME>``, the file ``config.toml`` in the home folder, the defaults.
Nothing is read at import.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from mlrun_jupyter.errors import MLRunInvalidArgumentError

PREFIX = "MLRUN_JUPYTER_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, with their defaults.

    ========================  ===========================================================================
    name                      meaning
    ========================  ===========================================================================
    home                      folder of the store, runs, artifacts and secrets (``~/.mlrun-jupyter``)
    store                     SQLAlchemy URL of the run store; empty: ``store.db`` in ``home``
    tracking_uri              MLflow tracking URI; empty: ``MLFLOW_TRACKING_URI``, else SQLite in ``home``
    project                   the current project, when none is chosen
    executor                  the executor of runs that name none
    warm                      whether workers are forked from a process that has the heavy modules imported
    preload                   modules that this process imports ahead, separated by commas
    warm_idle                 seconds without a run after which it ends
    heartbeat                 seconds between two heartbeats of a worker
    lease                     seconds without a heartbeat after which a run of another host is lost
    start_timeout             seconds that a kernel may take to start
    start_retries             how often the start of a kernel is tried again
    abort_grace               seconds that an aborted cell has to end by itself
    output_limit              bytes of output per cell that are kept in the notebook
    spill_limit               bytes of output per cell that are kept in all
    max_inline                bytes up to which an output is loaded back into the notebook by itself
    retention                 the standing policy of projects that have none: ``older_than=90d,max_bytes=50GB``
    gc_grace                  seconds for which a sweep spares whatever was changed
    dask_address              scheduler of the executor ``dask``; empty: a cluster of this machine, on demand
    dask_workers              workers of that cluster; 0: one a CPU
    dask_memory               memory of each of them, such as ``4GB``; empty: an equal share of the machine's
    dask_idle                 seconds without a run after which it ends
    dask_timeout              seconds within which a scheduler must answer
    dask_retries              how often a run is started again after the Dask worker that had it was lost
    dask_mirror               ``auto``: stream back from workers that do not see the home folder; ``always``
    dask_ship                 bytes of local inputs that may travel with an order to such workers
    dask_keep                 seconds that such a worker keeps a run that is over until it was fetched
    audit                     whether what a run reads is watched; without it no run's outputs are given again
    online_store              URL of the online store of features: ``redis://…``, ``rediss://…``; empty: an LMDB file in ``home``
    features_path             where tables of features lie: a folder, ``s3://…``, ``gs://…``, ``az://…``; empty: below ``home``
    features_memory           bytes that a retrieval on Dask may take, such as ``4GB``; empty: half of the machine's
    features_spill            where rows wait meanwhile, a folder that all workers see; empty: below ``home``
    checkpoint_limit          bytes of names stored between the cells of a run, to resume it from; 0: none
    dashboard_idle            seconds without a look after which MLflow's server beside the panel ends
    live                      how a watched run is shown: ``widget``, ``text``; ``auto``: a widget where somebody sees it
    ========================  ===========================================================================
    """

    home: str = "~/.mlrun-jupyter"
    store: str = ""
    tracking_uri: str = ""
    project: str = ""
    executor: str = "process"
    warm: bool = True
    preload: str = "numpy,pandas,matplotlib.figure,sklearn.base,sklearn.metrics"
    warm_idle: float = 1800.0
    heartbeat: float = 2.0
    lease: float = 60.0
    start_timeout: float = 60.0
    start_retries: int = 2
    abort_grace: float = 5.0
    output_limit: int = 20_000_000
    spill_limit: int = 200_000_000
    max_inline: int = 500_000_000
    retention: str = ""
    gc_grace: float = 3600.0
    dask_address: str = ""
    dask_workers: int = 0
    dask_memory: str = ""
    dask_idle: float = 600.0
    dask_timeout: float = 10.0
    dask_retries: int = 3
    dask_mirror: Literal["auto", "always"] = "auto"
    dask_ship: int = 10_000_000
    dask_keep: float = 3600.0
    audit: bool = True
    online_store: str = ""
    features_path: str = ""
    features_memory: str = ""
    features_spill: str = ""
    checkpoint_limit: int = 1_000_000_000
    dashboard_idle: float = 1800.0
    live: Literal["auto", "widget", "text"] = "auto"

    @property
    def home_path(self) -> Path:
        """The home folder, absolute."""
        return Path(self.home).expanduser().absolute()

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.home_path / 'store.db'}"

    @property
    def tracking(self) -> str:
        """The tracking URI that is in force."""
        return self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home_path / 'mlflow' / 'mlflow.db'}"


def load(overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    :param overrides: values that win over all sources.
    :param environ: instead of the process's environment.
    :raises MLRunInvalidArgumentError: for an unknown name or a value of the wrong type, naming where it stands.
    """
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    home = (overrides or {}).get("home") or env.get(PREFIX + "HOME") or Settings().home
    file = Path(home).expanduser() / "config.toml"
    if file.is_file():
        try:
            read = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise MLRunInvalidArgumentError(
                f"{file} cannot be read", why=str(error), next_step="correct the file, or remove it"
            ) from error
        for name in read:
            if name not in Settings.__struct_fields__:
                raise MLRunInvalidArgumentError(
                    f"{file} sets {name!r}, which is no setting",
                    why=f"settings are {', '.join(Settings.__struct_fields__)}",
                    next_step="correct the name, or remove the line",
                )
        values.update(read)
    for name in Settings.__struct_fields__:
        if PREFIX + name.upper() in env:
            values[name] = env[PREFIX + name.upper()]
    values.update(overrides or {})
    values["home"] = str(home)
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise MLRunInvalidArgumentError(
            "a setting has a wrong value", why=str(error), next_step=f"check {PREFIX}* variables and {file}"
        ) from error
