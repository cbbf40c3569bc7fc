"""What the documents say is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mlrun_jupyter.cli.commands import cli
from mlrun_jupyter.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    found = [link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8"))]
    gone = [link for link in found if link and "://" not in link and not (page.parent / link).exists()]
    assert not gone


def test_the_readme_links_every_page_of_the_guide() -> None:
    links = _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert not [page.name for page in GUIDE if f"docs/guide/{page.name}" not in links]


def test_every_setting_stands_in_the_table() -> None:
    text = (ROOT / "docs" / "guide" / "command-line.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert told == set(Settings.__struct_fields__)


def _commands(group: click.Group, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            # a group without a command lists
            yield path if name == "list" else f"{path} {name}"


def test_every_command_stands_in_the_guide() -> None:
    text = (ROOT / "docs" / "guide" / "command-line.md").read_text(encoding="utf-8")
    commands = sorted(set(_commands(cli, "mlrun-jupyter")))
    assert len(commands) > 20
    assert not [command for command in commands if not re.search(rf"{re.escape(command)}(?![\w-])", text)]
