"""A work order: what an executor moves, and the worker on the other side carries out."""

from __future__ import annotations

from typing import Any

import msgspec

from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.sweep import Sweep

VERSION = 1


def blob_place(digest: str) -> str:
    """Where a bundled file lies, by its SHA-256, relative to the home folder."""
    return f"blobs/{digest[:2]}/{digest}"


class BoundInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input, resolved when the order was written.

    ``uri`` is what is recorded (an artifact URI with its tree, or the path as the user gave it), ``url`` where the bytes
    are, ``artifact`` the artifact's record when it is one.
    """

    name: str
    uri: str
    url: str
    type: str = ""
    artifact: Artifact | None = None


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that a worker needs. Written once as ``order.json`` into the run's folder."""

    uid: str
    project: str
    name: str
    function: Function
    home: str
    folder: str
    """The run's folder, absolute on the worker's side."""
    workdir: str
    """The kernel's working folder: the notebook's."""
    artifact_path: str
    python: str = ""
    """The interpreter for the kernel; empty: the worker's own."""
    parameters: dict[str, Any] = {}
    inputs: tuple[BoundInput, ...] = ()
    sources: tuple[dict[str, str], ...] = ()
    labels: dict[str, str] = {}
    env: dict[str, str] = {}
    timeout: float | None = None
    retries: int = 0
    start_timeout: float = 60.0
    start_retries: int = 2
    tracking_uri: str = ""
    output_limit: int = 20_000_000
    """Bytes of output a cell may leave in the notebook; more is spilled to a file."""
    spill_limit: int = 200_000_000
    resources: dict[str, float] = {}
    """What the run needs of the place where it runs, as :func:`mlrun_jupyter.model.resources.parse_resources` gives it."""
    priority: int = 0
    """Of two waiting runs, the one of the higher number is first; executors without a queue take no notice."""
    mirrored: bool = False
    """The home is a temporary one: what becomes of the run is brought to the submitter's home, and from there to the tracker."""
    trusted: tuple[str, ...] = ()
    """SHA-256 digests of pickled artifacts that may be loaded."""
    iteration: int = 0
    parent: str = ""
    """The run of the sweep that this one is an iteration of."""
    sweep: Sweep | None = None
    """What is carried out instead of a notebook: child runs of the function."""
    cache: bool = False
    """Whether its outputs are meant to be given again; then it says aloud what forbids that."""
    audit: bool = True
    """Whether what the run reads is watched."""
    seed: int | None = None
    """Random numbers begin with it; ``None``: with a number of the worker's choice, which is recorded."""
    resume: str = ""
    """Folder of the run that this one goes on with."""
    resume_cell: int = 0
    """The body cell, counted from 0, that it goes on with."""
    checkpoint_limit: int = 0
    """Bytes of names that are stored at each boundary between cells; 0: none."""
    version: int = VERSION
