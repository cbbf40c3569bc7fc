"""The conformance kit of :class:`~mlrun_jupyter.protocols.features.FeatureDefinitions`; every run store is one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mlrun_jupyter.errors import MLRunConflictError, MLRunNotFoundError
from mlrun_jupyter.model.features import Entity, Feature, FeatureSet, FeatureVector
from mlrun_jupyter.protocols.features import FeatureDefinitions as Store


class FeatureDefinitionTests:
    """What holds of every store of definitions. A subclass defines the fixture ``store``."""

    def set_of(self, name: str = "flights", **given: Any) -> FeatureSet:
        """A feature set."""
        return FeatureSet(**{"name": name, "project": "kit", "entities": (Entity("origin"),), "timestamp_key": "time", **given})

    def test_a_feature_set_is_a_version_that_tags_point_to(self, store: Store) -> None:
        one, two = self.set_of(description="first"), self.set_of(description="second")
        assert store.put_feature_object(one) == {"latest": ""}
        assert store.put_feature_object(two, ("latest", "prod")) == {"latest": one.hash, "prod": ""}
        store.put_feature_object(two, ())
        found = store.get_feature_object("feature-set", "kit", "flights")
        assert found.document == msgspec.structs.replace(two, created=found.document.created) and found.tags == ("latest", "prod")
        assert store.get_feature_object("feature-set", "kit", "flights", hash=one.hash[:8]).document.description == "first"
        assert [each.document.description for each in store.list_feature_objects("feature-set", "kit", latest=False)] == ["second", "first"]
        assert [each.document.description for each in store.list_feature_objects("feature-set", "kit")] == ["second"]
        with pytest.raises(MLRunNotFoundError, match="flight'"):
            store.get_feature_object("feature-set", "kit", "flight")
        with pytest.raises(MLRunNotFoundError):
            store.get_feature_object("feature-vector", "kit", "flights")

    def test_feature_sets_are_found_by_what_is_in_them_page_by_page(self, store: Store) -> None:
        for number in range(7):
            features = (Feature(f"delay_{number}", description="Minutes late"),)
            store.put_feature_object(self.set_of(f"set-{number}", features=features, labels={"team": f"t{number % 2}"}, owner="ann"))
        store.put_feature_object(FeatureVector(name="late", project="kit", features=("set-1.delay_1",)))
        pages, token = [], ""
        while True:
            page = store.list_feature_objects("feature-set", "kit", text="minutes", owner="ann", entity="origin", limit=3, page_token=token)
            pages.append([each.document.name for each in page])
            token = page.next_page_token
            if not token:
                break
        assert [len(page) for page in pages] == [3, 3, 1] and len({name for page in pages for name in page}) == 7
        assert [each.document.name for each in store.list_feature_objects("feature-set", "kit", labels=("team=t1",), name="~set-3")] == ["set-3"]
        assert not store.list_feature_objects("feature-set", "kit", entity="carrier")
        assert [each.document.name for each in store.list_feature_objects("feature-vector", "kit", text="delay_1")] == ["late"]

    def test_when_the_latest_version_is_deleted_the_one_before_it_is_the_latest(self, store: Store) -> None:
        first, second = self.set_of(), msgspec.structs.replace(self.set_of(), description="another")
        for document in (first, second):
            store.put_feature_object(document)
        assert store.delete_feature_object("feature-set", "kit", "flights", hash=second.hash) == 1
        assert store.get_feature_object("feature-set", "kit", "flights").document.hash == first.hash

    def test_a_status_is_not_overwritten_by_one_who_read_an_older_one(self, store: Store) -> None:
        store.put_feature_object(self.set_of())
        read = store.get_feature_object("feature-set", "kit", "flights").status
        first = store.put_feature_status("feature-set", "kit", "flights", msgspec.structs.replace(read, rows=5))
        assert first.revision == 1
        with pytest.raises(MLRunConflictError):
            store.put_feature_status("feature-set", "kit", "flights", msgspec.structs.replace(read, rows=9))
        assert store.get_feature_object("feature-set", "kit", "flights").status.rows == 5
        assert store.delete_feature_object("feature-set", "kit", "flights") == 1
        assert not store.list_feature_objects("feature-set", "kit")
