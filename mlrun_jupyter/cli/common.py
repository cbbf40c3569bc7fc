"""What the commands share: the group itself, options, completion, and printing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mlrun_jupyter.errors import MLRunError, NameInvalidError


class Names:
    """Completion of names from the store; silent when there is none."""

    @staticmethod
    def functions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [name for name in current_project(None).get_function_names() if name.startswith(incomplete)]
        except MLRunError:
            return []

    @staticmethod
    def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [run.uid[:12] for run in current_project(None).list_runs() if run.uid.startswith(incomplete)]
        except MLRunError:
            return []

    @staticmethod
    def projects(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from mlrun_jupyter.project import list_projects

        try:
            return [name for name in list_projects() if name.startswith(incomplete)]
        except MLRunError:
            return []


class Listing(click.Group):
    """A group whose command ``list`` need not be written: ``mlrun-jupyter runs --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
project_option = click.option(
    "--project", "-P", default=None, shell_complete=Names.projects, help="The project; else MLRUN_JUPYTER_PROJECT, else the only one."
)
page_option = click.option("--page-token", default="", metavar="TOKEN", help="Continue behind the page that printed it.")
uid_argument = click.argument("uid", shell_complete=Names.runs)


def current_project(name: str | None) -> Any:
    from mlrun_jupyter.errors import NoProjectError
    from mlrun_jupyter.project import Project, get_current_project, session

    if name:
        # a look-up must not create what it looks for
        return Project(session(), session().store.get_project(name))
    found = get_current_project(silent=True)
    if found is not None:
        return found
    file = Path("project.yaml")
    if file.is_file():
        from mlrun_jupyter.project import load_project

        return load_project(".")
    known = session().store.list_projects()
    if len(known) == 1:
        return Project(session(), known[0])
    raise NoProjectError(
        "no project is chosen",
        why=f"there are {len(known)} projects here" if known else "there is no project yet",
        next_step="pass --project NAME, set MLRUN_JUPYTER_PROJECT, or stand in a folder with a project.yaml",
    )


def show(thing: Any, as_json: bool, document: Any) -> None:
    token = getattr(thing, "next_page_token", "")
    if as_json and token:
        # the document is what a script reads; the place to go on from stands beside it
        click.echo(f"next page: --page-token {token}", err=True)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str) if as_json else f"{thing!r}")


def pairs(words: tuple[str, ...], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise NameInvalidError(f"{word!r} is no {what}", next_step=f"write it as name=value: -{what[0]} {word}=…")
        found[name] = value
    return found


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mlrun-jupyter", prog_name="mlrun-jupyter")
def cli() -> None:
    """MLOps that lives in the notebook: functions, runs and artifacts of your projects.

    Tab completion: eval "$(_MLRUN_JUPYTER_COMPLETE=bash_source mlrun-jupyter)" (or zsh_source, fish_source).
    """
