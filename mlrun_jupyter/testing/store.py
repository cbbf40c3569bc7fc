"""The conformance kit of run stores: subclass :class:`StoreTests` and say how to make one."""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mlrun_jupyter.errors import (
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
)
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Code, CodeCell, Function
from mlrun_jupyter.model.names import ArtifactRef, FunctionRef
from mlrun_jupyter.model.parameters import Parameter
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.testing.features import FeatureDefinitionTests


class StoreTests(FeatureDefinitionTests):
    """What holds of every store.

    A subclass defines the fixture ``open_store``, a callable that opens the same, at first empty, store each time.
    """

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Any:
        made = open_store()
        yield made
        made.close()

    def run_of(self, **given: Any) -> Run:
        """A new run of the project ``kit``."""
        moment = clock.iso(clock.now())
        return msgspec.structs.replace(
            Run(uid=clock.new_uid(), project="kit", name="train", created=moment, updated=moment), **given
        )

    def function_of(self, source: str, **given: Any) -> Function:
        """A function with this body."""
        return msgspec.structs.replace(
            Function(
                name="train", project="kit", code=Code(cells=(CodeCell(source),)), parameters=(Parameter("trees", type="int", default=3),)
            ),
            **given,
        )

    def artifact_of(self, **given: Any) -> Artifact:
        """An artifact of a new run."""
        return msgspec.structs.replace(
            Artifact(key="model", db_key="train_model", kind="model", project="kit", tree=clock.new_uid(), path="x", digest=clock.new_uid()),
            **given,
        )

    # -- projects -------------------------------------------------------------------------------------------------

    def test_projects_come_back_and_names_near_by_are_named(self, store: Store) -> None:
        store.put_project(ProjectDocument(metadata=ProjectMetadata(name="flights")))
        assert store.get_project("flights").name == "flights"
        assert [project.name for project in store.list_projects()] == ["flights"]
        with pytest.raises(MLRunNotFoundError, match="flights"):
            store.get_project("flight")

    def test_deleting_a_project_deletes_all_of_it_and_nothing_else(self, store: Store) -> None:
        for name in ("kit", "other"):
            store.put_project(ProjectDocument(metadata=ProjectMetadata(name=name)))
            store.put_function(self.function_of("x = 1", project=name))
            run = self.run_of(project=name, labels={"a": "b"})
            store.create_run(run)
            store.put_metrics(run.uid, [Metric("loss", 1.0)])
            store.put_artifact(self.artifact_of(project=name))
        store.delete_project("kit")
        assert [project.name for project in store.list_projects()] == ["other"]
        assert not store.list_functions("kit") and not store.list_runs("kit") and not store.list_artifacts("kit")
        assert store.list_functions("other") and store.list_runs("other") and store.list_artifacts("other")

    # -- functions ------------------------------------------------------------------------------------------------

    def test_a_version_is_stored_once_and_tags_move(self, store: Store) -> None:
        one, two = self.function_of("x = 1"), self.function_of("x = 2")
        assert store.put_function(one, ("latest", "v1")) == {"latest": "", "v1": ""}
        assert store.put_function(one, ("latest",)).get("latest") == one.hash
        assert store.put_function(two)["latest"] == one.hash
        assert store.get_function(FunctionRef("train", "kit")).hash == two.hash
        assert store.get_function(FunctionRef("train", "kit", tag="v1")).hash == one.hash
        assert store.get_function(FunctionRef("train", "kit", hash=one.hash[:8])).hash == one.hash
        assert {f.hash: set(tags) for f, tags in store.list_functions("kit")} == {one.hash: {"v1"}, two.hash: {"latest"}}

    def test_an_unknown_version_is_not_found(self, store: Store) -> None:
        store.put_function(self.function_of("x = 1"))
        for ref in (FunctionRef("tran", "kit"), FunctionRef("train", "kit", tag="v9"), FunctionRef("train", "kit", hash="f" * 40)):
            with pytest.raises(MLRunNotFoundError, match="train"):
                store.get_function(ref)

    def test_deleting_one_version_leaves_the_others(self, store: Store) -> None:
        one, two = self.function_of("x = 1"), self.function_of("x = 2")
        store.put_function(one)
        store.put_function(two)
        store.delete_function(FunctionRef("train", "kit", hash=one.hash))
        assert [f.hash for f, _ in store.list_functions("kit")] == [two.hash]
        store.delete_function(FunctionRef("train", "kit"))
        assert not store.list_functions("kit")

    # -- runs -----------------------------------------------------------------------------------------------------

    def test_a_run_comes_back_as_it_was(self, store: Store) -> None:
        run = self.run_of(parameters={"text": "it's \"quoted\"\n☃ \U0001f600", "n": 1, "none": None}, labels={"größe": "π"})
        store.create_run(run)
        assert store.get_run(run.uid) == run
        assert store.get_run(run.uid[:20]) == run
        with pytest.raises(MLRunConflictError):
            store.create_run(run)

    def test_unknown_and_short_uids_are_refused(self, store: Store) -> None:
        store.create_run(self.run_of())
        for uid in ("ffffffffffff", "0", ""):
            with pytest.raises(MLRunNotFoundError):
                store.get_run(uid)

    def test_states_change_only_as_allowed_and_a_refused_change_leaves_no_trace(self, store: Store) -> None:
        run = self.run_of()
        store.create_run(run)
        store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="running"))
        done = store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="completed"), outbox="run")
        assert done.state == "completed"
        with pytest.raises(MLRunPreconditionFailedError):
            store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="running", cause="no"), outbox="other")
        assert store.get_run(run.uid).cause == ""
        assert store.outbox_size() == 1

    def test_runs_are_found_by_what_they_are(self, store: Store) -> None:
        first = self.run_of(name="first", labels={"team": "blue"}, function="kit/train@abc")
        second = self.run_of(name="second", labels={"team": "red", "50%": "_"}, state="running")
        child = self.run_of(name="child", parent=first.uid)
        other = self.run_of(project="other")
        for run in (first, second, child, other):
            store.create_run(run)

        def names(**query: Any) -> list[str]:
            return [run.name for run in store.list_runs("kit", **query)]

        assert names() == ["second", "first"]
        assert names(parent=None) == ["child", "second", "first"]
        assert names(parent=first.uid) == ["child"]
        assert names(name="first") == ["first"]
        assert names(name="~eco") == ["second"]
        assert names(name="~%") == []
        assert names(labels=["team"]) == ["second", "first"]
        assert names(labels=["team=red", "50%=_"]) == ["second"]
        assert names(state="running") == ["second"]
        assert names(state=["running", "created"]) == ["second", "first"]
        assert names(function="train") == ["first"]
        assert names(before=second.uid) == ["first"]
        assert names(limit=1) == ["second"]
        assert [run.project for run in store.list_runs("other")] == ["other"]

    def test_cached_runs_are_found_when_they_completed(self, store: Store) -> None:
        key = "k" * 64
        old, new, failed = (self.run_of(name=name, state="running", cache_key=key) for name in ("old", "new", "failed"))
        late, other = self.run_of(name="late", state="running"), self.run_of(state="completed", project="other", cache_key=key)
        for run in (old, new, failed, late, other, self.run_of(state="completed")):
            store.create_run(run)
        assert store.find_cached("kit", key) == []
        for run, state in ((old, "completed"), (new, "completed"), (failed, "error")):
            store.update_run(run.uid, functools.partial(_ended, state=state))
        assert [run.name for run in store.find_cached("kit", key)] == ["new", "old"]
        assert [run.name for run in store.find_cached("kit", key, limit=1)] == ["new"]
        store.update_run(late.uid, lambda old: msgspec.structs.replace(old, state="completed", cache_key=key))
        assert [run.name for run in store.find_cached("kit", key)] == ["late", "new", "old"]
        assert store.find_cached("kit", "") == [] and store.get_run(new.uid).cache_key == key
        with pytest.raises(MLRunInvalidArgumentError, match="64"):
            store.create_run(self.run_of(cache_key="k" * 65))

    def test_heartbeats_tell_of_an_abort(self, store: Store) -> None:
        run = self.run_of(state="running")
        store.create_run(run)
        assert store.heartbeat(run.uid) is False
        store.request_abort(run.uid)
        assert store.heartbeat(run.uid) is True
        [(found, beat)] = store.unfinished()
        assert found.uid == run.uid and beat

    def test_a_run_that_goes_on_is_not_deleted(self, store: Store) -> None:
        run = self.run_of(state="running")
        store.create_run(run)
        with pytest.raises(MLRunPreconditionFailedError):
            store.delete_run(run.uid)
        store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="completed"))
        store.delete_run(run.uid)
        assert not store.list_runs("kit")

    def test_metrics_keep_steps_and_what_is_not_finite(self, store: Store) -> None:
        run = self.run_of()
        store.create_run(run)
        points = [Metric("loss", 0.5, 0, "t0"), Metric("loss", 0.25, 1, "t1"), Metric("loss", float("inf"), 2, "t2"), Metric("auc", 1.0)]
        store.put_metrics(run.uid, points)
        store.put_metrics(run.uid, points)
        assert [point.value for point in store.get_metrics(run.uid, "loss")] == [0.5, 0.25, float("inf")]
        assert len(store.get_metrics(run.uid)) == 4

    # -- artifacts ------------------------------------------------------------------------------------------------

    def test_artifacts_by_tag_tree_and_kind(self, store: Store) -> None:
        one, two = self.artifact_of(labels={"k": "1"}), self.artifact_of(kind="model", labels={"k": "2"})
        store.put_artifact(one)
        store.put_artifact(two, ("latest", "best"))

        def get(**ref: Any) -> str:
            return store.get_artifact(ArtifactRef("train_model", "kit", **ref)).tree

        assert get() == two.tree and get(tag="best") == two.tree and get(tree=one.tree) == one.tree
        assert get(category="models") == two.tree
        with pytest.raises(MLRunNotFoundError):
            get(category="datasets")
        store.tag_artifact(one, "best")
        assert get(tag="best") == one.tree
        tags = {artifact.tree: set(marks) for artifact, marks in store.list_artifacts("kit")}
        assert tags == {one.tree: {"best"}, two.tree: {"latest"}}
        assert [artifact.tree for artifact, _ in store.list_artifacts("kit", labels=["k=1"], limit=1)] == [one.tree]
        assert not store.list_artifacts("kit", kind="dataset") and len(store.list_artifacts("kit", kind="model")) == 2
        store.delete_artifact(one)
        with pytest.raises(MLRunNotFoundError, match="train_model"):
            store.get_artifact(ArtifactRef("train_mode", "kit"))

    def test_uses_are_found_from_both_ends(self, store: Store) -> None:
        store.put_use("r1", "data", "store://a", "in")
        store.put_use("r1", "model", "store://m", "out")
        store.put_use("r2", "model", "store://m", "in")
        store.put_use("r2", "model", "store://m", "in")
        assert [use["run"] for use in store.list_uses(uri="store://m")] == ["r1", "r2"]
        assert {use["direction"] for use in store.list_uses(run="r1")} == {"in", "out"}

    # -- outbox ---------------------------------------------------------------------------------------------------

    def test_a_message_put_again_while_it_is_sent_is_not_lost(self, store: Store) -> None:
        store.outbox_put("run", "u1")
        [first] = store.outbox_due()
        store.outbox_put("run", "u1")
        store.outbox_done(first["id"])
        assert [message["uid"] for message in store.outbox_due()] == ["u1"]

    def test_numbers_are_not_used_again(self, store: Store) -> None:
        store.outbox_put("run", "u1")
        [first] = store.outbox_due()
        store.outbox_done(first["id"])
        store.outbox_put("run", "u2")
        store.outbox_done(first["id"])
        assert store.outbox_size() == 1

    def test_a_failed_message_waits(self, store: Store) -> None:
        store.outbox_put("run", "u1")
        [first] = store.outbox_due()
        store.outbox_failed(first["id"], "no answer")
        assert store.outbox_due() == [] and store.outbox_size() == 1

    # -- several at once ------------------------------------------------------------------------------------------

    def test_changes_from_several_at_once_are_all_kept(self, open_store: Callable[[], Store], store: Store) -> None:
        run = self.run_of()
        store.create_run(run)

        def add(key: str, old: Run) -> Run:
            return msgspec.structs.replace(old, results={**old.results, key: 1})

        def work(number: int) -> None:
            own = open_store()
            for step in range(20):
                own.update_run(run.uid, functools.partial(add, f"{number}.{step}"))
            own.close()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, number) for number in range(4)]:
                done.result()
        assert len(store.get_run(run.uid).results) == 80


def _ended(run: Run, state: str) -> Run:
    return msgspec.structs.replace(run, state=state)
