"""An artifact: a stored value, who made it from what, and how to get the value back."""

from __future__ import annotations

from typing import Any

import msgspec

from mlrun_jupyter.model.canonical import content_hash
from mlrun_jupyter.model.names import ArtifactRef

KIND_CATEGORIES = {"model": "models", "dataset": "datasets"}


class Producer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who made an artifact: ``kind`` is ``run``, ``project`` or ``user``; ``uri`` is ``<project>/<run uid>``."""

    name: str = ""
    kind: str = "run"
    uri: str = ""
    owner: str = ""
    function: str = ""


class Packing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the value was stored, so that it can be restored: packager, the value's type, arguments."""

    packager: str = ""
    object_type: str = ""
    artifact_type: str = ""
    arguments: dict[str, Any] = {}


class Artifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of an artifact.

    ``path`` is where the content lies: relative to the home folder, or a URL. ``tree`` is the uid of the run that made
    it. ``hash`` is the SHA-1 of the content as in MLRun; ``digest`` its SHA-256, by which pickles are trusted. For a
    folder both are over the sorted list of its files and their digests.
    """

    key: str
    kind: str = "artifact"
    project: str = ""
    db_key: str = ""
    iteration: int = 0
    tree: str = ""
    path: str = ""
    body: str = ""
    """The content itself, when it is small text that is kept inline."""
    format: str = ""
    size: int = 0
    hash: str = ""
    digest: str = ""
    viewer: str = ""
    description: str = ""
    labels: dict[str, str] = {}
    producer: Producer = Producer()
    sources: tuple[dict[str, str], ...] = ()
    """Inputs of the run that made it: ``{"name", "uri"}``."""
    packing: Packing = Packing()
    spec: dict[str, Any] = {}
    """By kind. dataset: ``schema header length label_column``; model: ``framework algorithm model_file inputs outputs
    metrics parameters feature_stats``; extra data under ``extra_data``."""
    status: dict[str, Any] = {}
    """By kind. dataset: ``preview`` (20 rows), ``stats``, ``header_original_length``."""
    link: str = ""
    """URI of the version whose content this is, when it stands for that of a sweep's best iteration."""
    created: str = ""
    updated: str = ""

    @property
    def category(self) -> str:
        return KIND_CATEGORIES.get(self.kind, "artifacts")

    @property
    def uid(self) -> str:
        """Version: hash over what identifies content and maker; logging the same again in one run replaces it."""
        return content_hash(
            [self.key, self.kind, self.project, self.db_key, self.iteration, self.tree, self.digest, self.format, self.path]
        )

    def uri(self, tag: str = "") -> str:
        """``store://<category>/<project>/<db_key>[#iter][:tag][@tree]``."""
        return str(
            ArtifactRef(
                key=self.db_key or self.key, project=self.project, category=self.category, iteration=self.iteration,
                tag=tag, tree=self.tree,
            )
        )  # fmt: skip
