"""The composition root of features: a project's definitions, tables and online store put together."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import MLRunMissingDependencyError, MLRunNotFoundError
from mlrun_jupyter.model.features import VECTORS
from mlrun_jupyter.model.retention import size
from mlrun_jupyter.registry import OFFLINE_STORES, ONLINE_STORES

if TYPE_CHECKING:
    from mlrun_jupyter.features.places import Place
    from mlrun_jupyter.session import Session

SCHEME = "vector://"
CATEGORIES = {"feature-sets": "feature-set", "feature-vectors": "feature-vector"}


def place_of(session: Session, project: str, *, folder: Path | None = None, begin: Callable[..., Any] | None = None) -> Place:
    """Where the features of a project are.

    :param folder: of the project's sources: definitions are written there as well.
    :param begin: begins a run that an ingest is recorded on.
    """
    from mlrun_jupyter.features.places import Place
    from mlrun_jupyter.secrets import lookup

    home = session.home / "features"
    store: Any = session.store
    settings = session.settings
    return Place(
        project=project, definitions=store, offline=OFFLINE_STORES.load("delta")(settings.features_path or home / "offline"), online=_online(session, project),
        folder=folder, catalogue=home / "catalogue" / f"{project}.yaml", begin=begin,
        another=lambda name: place_of(session, name), spill=Path(settings.features_spill or home / "spill").expanduser(), memory=size(settings.features_memory) if settings.features_memory else 0,
        streams=streams_of(session.home, project), secret=lambda name: lookup(session.home, project, name),
    )  # fmt: skip


def streams_of(home: Path, project: str) -> Path:
    """The folder of a project's own streams."""
    return home / "streams" / project


def pages_of(session: Session, project: str, kind: str, name: str) -> Path:
    """The folder of the dashboards that were made of a set or vector."""
    return session.home / "features" / "dashboards" / project / kind / name


def forget_pages(session: Session, project: str, kind: str = "", name: str = "") -> None:
    """Delete the dashboards of a set, a vector, or a project; with a set those of all vectors, since they may show its rows."""
    below = session.home / "features" / "dashboards"
    shutil.rmtree(below / project / kind / name, ignore_errors=True)
    if kind != "feature-vector":
        for vectors in below.glob("*/feature-vector"):
            shutil.rmtree(vectors, ignore_errors=True)


def stream_of(session: Session, project: str, name: str) -> Any:
    """A stream of a project, to push events into."""
    from mlrun_jupyter.model.features import Source
    from mlrun_jupyter.registry import EVENT_SOURCES

    return EVENT_SOURCES.load("stream")(Source("stream", "", name), folder=streams_of(session.home, project))


def _online(session: Session, project: str) -> Callable[[], Any] | None:
    url = session.settings.online_store
    if url:
        from mlrun_jupyter.secrets import lookup

        # what was asked for by name must be there
        kind: Any = ONLINE_STORES.load("redis")
        return cache(lambda: kind(url, project=project, secret=lambda name: lookup(session.home, project, name)))
    folder = session.home / "features" / "online" / project
    try:
        loaded: Any = ONLINE_STORES.load("lmdb")
    except (MLRunNotFoundError, MLRunMissingDependencyError):
        return None
    return cache(lambda: loaded(folder))


def split(uri: str, project: str) -> tuple[str, str, str, str, str]:
    """Kind, project, name, tag, hash of ``store://feature-vectors/<project>/<name>[:tag][@hash]`` or ``vector://[project/]name[:tag][@hash]``."""
    if uri.startswith(SCHEME):
        kind, rest = "feature-vector", uri.removeprefix(SCHEME)
    else:
        category, _, rest = uri.removeprefix("store://").partition("/")
        kind = CATEGORIES[category]
    return kind, *named(rest, project)


def named(text: str, project: str) -> tuple[str, str, str, str]:
    """Project, name, tag, hash of ``[project/]name[:tag][@hash]``, or of an address as :func:`split` reads it."""
    if text.startswith((SCHEME, "store://")):
        return split(text, project)[1:]
    rest, _, digest = text.partition("@")
    rest, _, tag = rest.partition(":")
    home, slash, name = rest.rpartition("/")
    return home if slash else project, name, tag, digest


def is_vector(uri: str) -> bool:
    return uri.startswith((SCHEME, VECTORS))


def vector_file(session: Session, uri: str, project: str) -> tuple[str, str]:
    """The URI of the vector's version, and a Parquet file with its features as of now."""
    from mlrun_jupyter.features.vectors import materialised

    _, home, name, tag, digest = split(uri, project)
    place = place_of(session, home)
    document: Any = place.definitions.get_feature_object("feature-vector", home, name, tag=tag, hash=digest).document
    path, _ = materialised(place, document, session.home / "features" / "vectors" / home)
    return document.uri, str(path)


def has_features(session: Session, project: str) -> bool:
    """Whether sets or vectors are defined in the project."""
    store: Any = session.store
    return any(store.list_feature_objects(kind, project, limit=1) for kind in ("feature-set", "feature-vector"))


def forget(session: Session, project: str) -> None:
    """Delete the rows of a project's sets, offline and online, and its catalogue; definitions are the store's to delete."""
    if not has_features(session, project):
        return
    from mlrun_jupyter.features import catalogue
    from mlrun_jupyter.features.places import online_table

    place = place_of(session, project)
    for one in catalogue.objects(place, "feature-set"):
        place.offline.delete(project, one.document.name)
        place.offline.delete(project, f"{one.document.name}.quarantine")
        if place.online is not None:
            place.online().delete(online_table(one.status, one.document.name))
    if place.catalogue is not None:
        place.catalogue.unlink(missing_ok=True)
    forget_pages(session, project)


def take_along(given: Any) -> str:
    """The source of a class or function with all that it needs from the notebook, script or module around it; of an installed package its import.

    :raises CaptureError: with each name that cannot be taken along.
    :raises DefinitionError: when its source is not to be found, or it needs a module beside the notebook.
    """
    import sys

    from mlrun_jupyter.errors import DefinitionError
    from mlrun_jupyter.notebooks.bundle import find_local_modules
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.closure import analyse, require

    name, home = given.__name__, given.__module__
    module = sys.modules.get(home)
    file = getattr(module, "__file__", None)
    if given.__qualname__ != name:
        raise DefinitionError(f"{given.__qualname__!r} is defined inside something else", next_step="define it at the top of a cell or file")
    if home != "__main__" and ("." in home or file is None or "site-packages" in Path(file).parts):
        return f"from {home} import {name}\n"
    history = getattr(module, "In", None) if home == "__main__" else None
    if history:
        cells = [Cell(number, text) for number, text in enumerate(history[1:], 1)]
    elif file is not None:
        cells = [Cell(1, Path(file).read_text(encoding="utf-8"))]
    else:
        raise DefinitionError(f"the source of {name!r} is not to be found", next_step="define it in a cell or a file")
    closure = require(analyse(name, cells=cells, values=vars(module)), name)
    beside = find_local_modules(closure.packages, Path.cwd())
    if beside:
        raise DefinitionError(
            f"{name!r} needs {next(iter(beside))}", why="a step is kept with its set, and files beside the notebook are not", next_step="define what it needs in the notebook, or install it as a package"
        )  # fmt: skip
    return "\n\n".join(piece.source for piece in closure.pieces) + "\n"
