"""One JupyterLab and one Chromium for all tests of this folder; each test has a page and a project of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import browser as parts


@pytest.fixture(autouse=True)
def home() -> None:
    """The homes of these tests are JupyterLab's; the one of the other tests is not made."""


@pytest.fixture(scope="session")
def built() -> None:
    """All that these tests need is here."""
    lacks = parts.missing()
    if lacks and os.environ.get("MLRUN_JUPYTER_REQUIRE_LAB") == "1":
        pytest.fail(lacks)
    if lacks:
        pytest.skip(lacks)


# for one file: while it is there, its event loop runs, and tests with loops of their own cannot
@pytest.fixture(scope="module")
def chromium(built: None) -> Iterator[Any]:
    with parts.browser() as found:
        yield found


@pytest.fixture(scope="session")
def lab(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Lab]:
    """JupyterLab on a base URL, as behind a hub's proxy."""
    found = parts.Lab(tmp_path_factory.mktemp("lab"), base_url="/user/ada/").start()
    yield found
    found.stop()


@pytest.fixture
def page(chromium: Any, lab: parts.Lab, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """JupyterLab, ready. Where the test fails, a picture of it is among the test's files."""
    found = parts.open_lab(chromium, lab)
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    yield found
    name = re.sub(r"\W+", "-", request.node.name)
    found.screenshot(path=tmp_path / f"{name}.png")
    assert not found.strangers, f"the page asked other hosts: {found.strangers}"
    found.context.close()
    assert not errors, errors
