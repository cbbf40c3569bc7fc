"""Definitions of features as YAML files, which lie in the folder ``features`` of a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.feature_places import place_of

if TYPE_CHECKING:
    from mlrun_jupyter.model.features import FeatureSet, FeatureVector
    from mlrun_jupyter.session import Session


def read_definition(file: Path) -> FeatureSet | FeatureVector:
    """What a YAML file defines: a set if it has entities, a vector if it has a list of features as texts.

    :raises DefinitionError: for a file that is neither, with the place of the fault.
    """
    import msgspec
    import yaml

    from mlrun_jupyter.errors import DefinitionError
    from mlrun_jupyter.model.features import FeatureSet, FeatureVector, check
    from mlrun_jupyter.model.names import normal

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        features = found.get("features") if isinstance(found, dict) else None
        features = features if isinstance(features, list) else ()
        if not isinstance(found, dict) or not ({"entities", "features"} & set(found)):
            raise DefinitionError(f"{file} defines no features", why="it has neither entities nor features", next_step="write it with to_yaml(), or name another file")
        vector = "entities" not in found and bool(features) and all(isinstance(one, str) for one in features)
        kind: Any = FeatureVector if vector else FeatureSet
        document: FeatureSet | FeatureVector = msgspec.convert(found, kind)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{file} cannot be read", why=" ".join(str(error).split()), next_step="correct the file") from error
    check(document)
    # names are written as those of projects and functions are
    return msgspec.structs.replace(document, name=normal(document.name))


def register(session: Session, project: str, folder: Path) -> list[str]:
    """Store the definitions that lie as YAML in a project's folder ``features``, where they are not the latest already; returns their names.

    :raises DefinitionError: for a file that cannot be read; nothing is stored then.
    """
    import msgspec

    from mlrun_jupyter.errors import MLRunNotFoundError
    from mlrun_jupyter.features import catalogue
    from mlrun_jupyter.model.features import FeatureSet

    files = sorted([*folder.glob("*.set.yaml"), *folder.glob("*.vector.yaml")])
    if not files:
        return []
    place = place_of(session, project)
    documents = [msgspec.structs.replace(read_definition(file), project=project) for file in files]
    changed = []
    for document in documents:
        kind: Any = "feature-set" if isinstance(document, FeatureSet) else "feature-vector"
        try:
            known = place.definitions.get_feature_object(kind, project, document.name).document.hash
        except MLRunNotFoundError:
            known = ""
        if known != document.hash:
            place.definitions.put_feature_object(document)
            changed.append(document.name)
    if changed:
        catalogue.refresh(place)
    return changed
