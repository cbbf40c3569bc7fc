"""The live display of a run goes on when the store does not answer, and its button is heard as long as it is there."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable
from typing import Any

import pytest

from mlrun_jupyter import live
from mlrun_jupyter.errors import MLRunNotFoundError, StoreError
from mlrun_jupyter.handles import RunObject
from mlrun_jupyter.model.clock import iso, new_uid, now
from mlrun_jupyter.model.run import Run

AWAY = StoreError("the store cannot be reached", why="a moment")


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


class Followed:
    """A run that goes on, with a display that follows it."""

    def __init__(self, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.published: list[dict[str, Any]] = []
        self.store = session.store
        self.get_run = self.store.get_run
        self.failing: list[Exception] = []
        self.reads = 0
        folder = f"runs/{new_uid()}"
        (session.home / folder).mkdir(parents=True)
        moment = iso(now())
        made = Run(uid=new_uid(), project="lab", name="one", created=moment, updated=moment, folder=folder)
        self.store.create_run(made)
        self.uid = made.uid
        pub = types.SimpleNamespace(publish=lambda **said: self.published.append(said))
        monkeypatch.setattr(live, "shell", lambda: types.SimpleNamespace(display_pub=pub))
        monkeypatch.setattr(self.store, "get_run", self._read)
        self.view = live.LiveView(RunObject(session, made), log=True)
        self.view.follow()

    def _read(self, uid: str) -> Run:
        self.reads += 1
        if self.failing:
            raise self.failing[0]
        return self.get_run(uid)

    @property
    def note(self) -> str:
        return self.view.widget.shown["note"]

    def press(self) -> None:
        self.view._hear(self.view.widget, {"kind": "abort"}, None)

    def goes_on(self) -> bool:
        return any(each.name == "mlrun-live" for each in threading.enumerate())

    @property
    def left(self) -> str:
        """What stands in the place of the display when it is over."""
        return "".join(said["data"]["text/html"] for said in self.published if said["update"])


@pytest.fixture
def followed(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    from mlrun_jupyter import project as composition

    found = Followed(composition.session(), monkeypatch)
    yield found
    found.failing.clear()
    found.press()
    until(lambda: not found.goes_on())


@pytest.mark.parametrize("error", [AWAY, OSError("the disk")])
def test_after_a_failed_read_it_follows_on_and_the_button_is_heard(followed: Followed, error: Exception) -> None:
    followed.failing.append(error)
    assert until(lambda: str(getattr(error, "what", error)) in followed.note)
    followed.failing.clear()
    # it works again, and nothing is wrong any more
    assert until(lambda: not followed.note)
    followed.press()
    assert until(lambda: followed.get_run(followed.uid).state == "aborted")
    assert until(lambda: "aborted" in followed.left)


def test_a_press_while_the_store_is_away_is_obeyed_when_it_is_back(followed: Followed) -> None:
    followed.failing.append(AWAY)
    assert until(lambda: followed.note)
    followed.press()
    time.sleep(0.5)
    followed.failing.clear()
    assert until(lambda: followed.get_run(followed.uid).state == "aborted")


def test_an_abort_that_fails_is_tried_again(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [AWAY]
    real = followed.store.request_abort

    def request(uid: str) -> Any:
        if failing:
            raise failing.pop()
        return real(uid)

    monkeypatch.setattr(followed.store, "request_abort", request)
    followed.press()
    assert until(lambda: followed.get_run(followed.uid).state == "aborted") and not failing


def test_something_else_that_is_not_found_is_no_run_that_was_deleted(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(reason: str) -> None:
        monkeypatch.undo()
        raise MLRunNotFoundError("there is no executor 'ours'")

    monkeypatch.setattr(followed.view.run, "abort", abort)
    followed.press()
    assert until(lambda: followed.get_run(followed.uid).state == "aborted")


def test_a_store_that_stays_away_is_asked_less_and_less(followed: Followed) -> None:
    followed.failing.append(AWAY)
    assert until(lambda: followed.note)
    before = followed.reads
    time.sleep(2)
    assert 1 <= followed.reads - before <= 5


def test_of_a_run_that_is_deleted_the_last_that_was_known_is_left(followed: Followed) -> None:
    followed.failing.append(MLRunNotFoundError("there is no run one"))
    assert until(lambda: "there is no run one" in followed.left) and not followed.goes_on()
    followed.press()
    # nobody is there who could hear it, and the page asks the server
    assert not followed.view.widget.aborting
