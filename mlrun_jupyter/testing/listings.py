"""The conformance kit of listings: subclass :class:`ListingTests` beside :class:`~mlrun_jupyter.testing.store.StoreTests`.

What a page holds is compared with what plain Python finds in the whole list.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Code, CodeCell, Function
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.protocols.store import Store

COUNT = 120


def _moment(second: int) -> str:
    return f"2026-05-01T10:{second // 60:02d}:{second % 60:02d}.000000+00:00"


def some_runs(count: int = COUNT) -> list[Run]:
    """Runs of a project that differ in all that can be asked for, oldest first."""
    dice = random.Random(7)
    made: list[Run] = []
    for number in range(count):
        state = dice.choice(("completed", "completed", "completed", "error", "running"))
        labels = {"kind": "job", "team": dice.choice(("blue", "red")), **({"rare": "x" * 300 + str(number % 2)} if number % 17 == 3 else {})}
        made.append(Run(
            uid=clock.new_uid(), project="kit", name=dice.choice(("train", "score", "re-train_50%")), state=state, labels=labels,
            parent=made[number % 5].uid if number > 60 and number % 3 else "", function=f"kit/{dice.choice('abc')}@{dice.choice('123') * 40}",
            created=_moment(number), started=_moment(number) if number % 7 else "", size=dice.randrange(5),
            ended=_moment(number + dice.randrange(9)) if state != "running" else "", results={"auc": dice.random()} if number % 2 else {},
        ))  # fmt: skip
    return made


def asked_for(run: Run, **query: Any) -> bool:
    """Whether a run is one of those that the query asks for."""
    name = query.get("name", "")
    function, parent = query.get("function", ""), query.get("parent", "")
    wanted = query.get("state", ())
    return (
        (name[1:] in run.name if name.startswith("~") else name in ("", run.name))
        and (not wanted or run.state in ([wanted] if isinstance(wanted, str) else wanted))
        and all(run.labels.get(key) == value if sign else key in run.labels for key, sign, value in (label.partition("=") for label in query.get("labels", ())))
        and (not function or run.function == function or run.function.partition("@")[0] == f"kit/{function}")
        and (parent is None or run.parent == parent)
        and run.created >= query.get("since", "")
        and run.created < (query.get("until") or "9")
    )  # fmt: skip


def in_order(runs: list[Run], sort: str) -> list[Run]:
    """Those that have a place in the order, in it."""
    key, down = sort.removeprefix("-"), sort.startswith("-")

    def value(run: Run) -> Any:
        if key == "duration":
            return (clock.parse(run.ended) - clock.parse(run.started)).total_seconds() if run.started and run.ended else None
        if key.startswith("results."):
            return run.results.get(key[8:])
        return (getattr(run, key) or None) if key != "size" else run.size

    placed = [run for run in runs if value(run) is not None]
    return sorted(placed, key=lambda run: (value(run), run.uid), reverse=down)


class ListingTests:
    """What holds of the pages of every store; ``open_store`` as for :class:`StoreTests`."""

    @pytest.fixture
    def listed(self, open_store: Callable[[], Store]) -> Iterator[tuple[Store, list[Run]]]:
        """A store with some runs, and the runs, oldest first."""
        store, runs = open_store(), some_runs()
        for run in runs:
            store.create_run(run)
        yield store, runs
        store.close()

    def pages(self, store: Store, limit: int, **query: Any) -> list[str]:
        """The uids of all pages, one behind the other."""
        found: list[str] = []
        token = ""
        for _ in range(2 * COUNT):
            page = store.list_runs("kit", limit=limit, page_token=token, **query)
            assert len(page) <= limit
            found += [run.uid for run in page]
            token = page.next_page_token
            if not token:
                return found
            assert len(page) == limit, "a page before the last is full"
        raise AssertionError("the pages have no end")

    def test_every_combination_comes_in_pages_as_in_whole(self, listed: tuple[Store, list[Run]]) -> None:
        store, runs = listed
        parts: list[list[dict[str, Any]]] = [
            [{}, {"name": "train"}, {"name": "~train"}, {"name": "~_50%"}],
            [{}, {"state": "error"}, {"state": ["running", "error"]}],
            [{}, {"labels": ["team=red"]}, {"labels": ["kind=job", "rare"]}, {"labels": ["rare=" + "x" * 300 + "1"]}],
            [{}, {"function": "a"}, {"function": "kit/a@" + "1" * 40}],
            [{}, {"parent": None}, {"parent": runs[2].uid}],
            [{}, {"since": _moment(20), "until": _moment(90)}],
        ]
        dice = random.Random(3)
        for chosen in dice.sample(list(itertools.product(*parts)), 120):
            query = {key: value for part in chosen for key, value in part.items()}
            expected = [run.uid for run in reversed(runs) if asked_for(run, **query)]
            assert self.pages(store, dice.choice((1, 3, 7, 200)), **query) == expected, query

    def test_orders_are_kept_over_the_pages(self, listed: tuple[Store, list[Run]]) -> None:
        store, runs = listed
        queries: list[dict[str, Any]] = [
            {"parent": None}, {"name": "train"}, {"labels": ["team=red"]}, {"labels": ["rare"], "parent": None, "state": "completed"},
        ]  # fmt: skip
        sorts = ("created", "-started", "duration", "-duration", "-size", "size", "-results.auc", "results.auc")
        for query, sort in itertools.product(queries, sorts):
            expected = [run.uid for run in in_order([run for run in runs if asked_for(run, **query)], sort)]
            assert self.pages(store, 7, sort=sort, **query) == expected, (query, sort)

    def test_a_listing_is_stable_while_runs_are_added_and_deleted(self, listed: tuple[Store, list[Run]]) -> None:
        store, runs = listed
        expected = [run.uid for run in reversed(runs)]
        found: list[str] = []
        token = ""
        while True:
            page = store.list_runs("kit", parent=None, limit=10, page_token=token)
            found += [run.uid for run in page]
            token = page.next_page_token
            if not token:
                break
            store.create_run(msgspec.structs.replace(runs[0], uid=clock.new_uid()))
            last = store.get_run(found[-1])
            if last.terminal:
                # the row where the page ended
                store.delete_run(last.uid)
        assert found == expected

    def test_tokens_that_are_none_or_of_another_order_are_refused(self, listed: tuple[Store, list[Run]]) -> None:
        store, _ = listed
        token = store.list_runs("kit", limit=5).next_page_token
        for wrong in ("nonsense", token[:-3], "!!", "W10"):
            with pytest.raises(MLRunInvalidArgumentError, match="page token"):
                store.list_runs("kit", page_token=wrong)
        with pytest.raises(MLRunInvalidArgumentError, match="order"):
            store.list_runs("kit", page_token=token, sort="created")
        with pytest.raises(MLRunInvalidArgumentError, match="sorted"):
            store.list_runs("kit", sort="colour")
        with pytest.raises(MLRunInvalidArgumentError, match="0"):
            store.list_runs("kit", limit=0)

    def test_artifacts_come_in_pages(self, open_store: Callable[[], Store]) -> None:
        store, dice, made = open_store(), random.Random(5), []
        for number in range(60):
            kind = dice.choice(("model", "dataset", "plot"))
            labels = {"stage": dice.choice(("new", "final")), **({"rare": "yes"} if number % 19 == 4 else {})}
            # several at one moment
            artifact = Artifact(
                key=kind, db_key=f"train_{kind}", kind=kind, project="kit", tree=f"{number // 10:032x}", path=str(number), digest=str(number),
                labels=labels, created=_moment(number // 4),
            )  # fmt: skip
            store.put_artifact(artifact, ["latest", *(["gold"] if number % 11 == 2 else [])])
            made.append(artifact)
        made.sort(key=lambda artifact: (artifact.created, artifact.uid), reverse=True)
        gold = {artifact.uid for artifact in made if int(artifact.path) % 11 == 2}
        # of the same key only the last one of them has the tag
        newest = {artifact.db_key: artifact.uid for artifact in sorted(made, key=lambda a: int(a.path)) if artifact.uid in gold}
        queries: list[tuple[dict[str, Any], Callable[[Artifact], bool]]] = [
            ({}, lambda a: True),
            ({"name": "train_model"}, lambda a: a.kind == "model"),
            ({"name": "~_mod"}, lambda a: a.kind == "model"),
            ({"kind": "dataset"}, lambda a: a.kind == "dataset"),
            ({"kind": "other"}, lambda a: a.kind == "plot"),
            ({"tree": f"{2:032x}"}, lambda a: a.tree == f"{2:032x}"),
            ({"labels": ["stage=new"]}, lambda a: a.labels["stage"] == "new"),
            ({"labels": ["rare", "stage"], "kind": "model"}, lambda a: "rare" in a.labels and a.kind == "model"),
            ({"tag": "gold"}, lambda a: a.uid in newest.values()),
            ({"since": _moment(3), "until": _moment(9)}, lambda a: _moment(3) <= a.created < _moment(9)),
        ]
        for query, holds in queries:
            found: list[str] = []
            token = ""
            while True:
                page = store.list_artifacts("kit", limit=4, page_token=token, **query)
                found += [artifact.uid for artifact, _ in page]
                token = page.next_page_token
                if not token:
                    break
            assert found == [artifact.uid for artifact in made if holds(artifact)], query
        store.close()

    def test_functions_and_metrics_come_in_pages(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        for number in range(12):
            store.put_function(Function(name=f"f{number % 2}", project="kit", code=Code(cells=(CodeCell(f"x = {number}"),))), ("latest", f"v{number}"))
        whole = store.list_functions("kit")
        assert len(whole) == 12 and not whole.next_page_token
        for name in ("", "f1"):
            expected = [(f.hash, tags) for f, tags in whole if name in ("", f.name)]
            found, token = [], ""
            while True:
                page = store.list_functions("kit", name, limit=5, page_token=token)
                found += [(f.hash, tags) for f, tags in page]
                token = page.next_page_token
                if not token:
                    break
            assert found == expected
        run = Run(uid=clock.new_uid(), project="kit", name="r")
        store.create_run(run)
        store.put_metrics(run.uid, [Metric(key, float(step), step, f"t{step}") for key in ("a", "b") for step in range(7)])
        points, token = [], ""
        while True:
            some = store.get_metrics(run.uid, limit=4, page_token=token)
            points += list(some)
            token = some.next_page_token
            if not token:
                break
        assert points == list(store.get_metrics(run.uid)) and len(points) == 14
        assert [point.step for point in store.get_metrics(run.uid, "b", limit=3)] == [0, 1, 2]
        store.close()
