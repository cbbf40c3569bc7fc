"""``functions``: versions."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlrun_jupyter.cli.common import (
    Listing,
    Names,
    as_json_option,
    cli,
    current_project,
    page_option,
    project_option,
    show,
)


@cli.group(cls=Listing)
def functions() -> None:
    """Functions: list, show, compare, export, tag. Without a command: list."""


@functions.command("list")
@click.argument("name", required=False, default="")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@page_option
@project_option
@as_json_option
def functions_list(name: str = "", limit: int = 50, page_token: str = "", project: str | None = None, as_json: bool = False) -> None:
    """Versions, newest first, a page at a time."""
    from mlrun_jupyter.runs.display import functions_table

    home = current_project(project)
    rows = home._session.store.list_functions(home.name, name, limit=limit, page_token=page_token)
    document = [{"name": f.name, "hash": f.hash, "tags": list(tags), "created": f.created, "uri": f.uri} for f, tags in rows]
    show(functions_table(rows, rows.next_page_token), as_json, document)


@functions.command("show")
@click.argument("function", shell_complete=Names.functions)
@project_option
@as_json_option
def functions_show(function: str, project: str | None, as_json: bool) -> None:
    """A version: parameters, inputs, outputs, code."""
    import msgspec

    found = current_project(project).get_function(function)
    show(found, as_json, {**msgspec.to_builtins(found.record), "hash": found.hash, "schema": found.schema})
    if not as_json:
        for cell in found.record.code.cells:
            click.echo(f"\n# {cell.role}\n{cell.source}", nl=False)


@functions.command("diff")
@click.argument("one", shell_complete=Names.functions)
@click.argument("other", shell_complete=Names.functions)
@project_option
def functions_diff(one: str, other: str, project: str | None) -> None:
    """What differs in code and spec. Exit status 1 when anything does."""
    found = current_project(project).diff(one, other)
    click.echo(f"{found!r}")
    sys.exit(1 if found.lines() else 0)


@functions.command("export")
@click.argument("function", shell_complete=Names.functions)
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@project_option
def functions_export(function: str, target: Path, project: str | None) -> None:
    """Write a version as a notebook (.ipynb) that bare papermill runs, or as .yaml or .json."""
    click.echo(current_project(project).get_function(function).export(target))


@functions.command("tag")
@click.argument("function", shell_complete=Names.functions)
@click.argument("tag")
@project_option
def functions_tag(function: str, tag: str, project: str | None) -> None:
    """Move a tag to a version."""
    from mlrun_jupyter.model.names import check_tag

    home = current_project(project)
    found = home.get_function(function)
    home._session.store.put_function(found.record, [check_tag(tag)])
    click.echo(f"{found.name}:{tag} is {found.uri}")
