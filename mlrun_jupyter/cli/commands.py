"""The commands. Each reads its arguments, makes one call of the core, and prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from mlrun_jupyter.errors import MLRunError, NameInvalidError


class _Names:
    """Completion of names from the store; silent when there is none."""

    @staticmethod
    def functions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [name for name in _project(None).get_function_names() if name.startswith(incomplete)]
        except MLRunError:
            return []

    @staticmethod
    def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [run.uid[:12] for run in _project(None).list_runs() if run.uid.startswith(incomplete)]
        except MLRunError:
            return []

    @staticmethod
    def projects(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from mlrun_jupyter.project import list_projects

        try:
            return [name for name in list_projects() if name.startswith(incomplete)]
        except MLRunError:
            return []


class _Listing(click.Group):
    """A group whose command ``list`` need not be written: ``mlrun-jupyter runs --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_project_option = click.option(
    "--project", "-P", default=None, shell_complete=_Names.projects, help="The project; else MLRUN_JUPYTER_PROJECT, else the only one."
)
_uid = click.argument("uid", shell_complete=_Names.runs)


def _project(name: str | None) -> Any:
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


def _show(thing: Any, as_json: bool, document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str) if as_json else f"{thing!r}")


def _pairs(words: tuple[str, ...], what: str) -> dict[str, str]:
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


@cli.command()
@click.argument("project", required=False)
@click.option("--description", default="")
def init(project: str | None, description: str) -> None:
    """Create the store and, in this folder, PROJECT with its project.yaml."""
    from mlrun_jupyter.project import get_or_create_project, session

    active = session()
    active.store.list_projects()
    click.echo(f"store: {active.settings.store_url}")
    if project:
        made = get_or_create_project(project, description=description)
        click.echo(f"project {made.name}: {made.save()}")


@cli.command()
@click.argument("function", shell_complete=_Names.functions)
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=PATH|URI")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--handler", default="")
@click.option("--name", default="", help="Name of the run.")
@click.option("--executor", default="")
@click.option("--timeout", type=float, default=None, help="Seconds.")
@click.option("--retries", type=int, default=None)
@click.option("--artifact-path", default="")
@click.option("--background", "-b", is_flag=True, help="Return at once.")
@_project_option
@_as_json
def run(
    function: str, params: tuple[str, ...], inputs: tuple[str, ...], labels: tuple[str, ...], handler: str, name: str,
    executor: str, timeout: float | None, retries: int | None, artifact_path: str, background: bool, project: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run FUNCTION: a name, name:tag, name@hash, or a .py or .ipynb file. Exit status 1 when the run fails."""
    from mlrun_jupyter.errors import RunFailedError
    from mlrun_jupyter.model.parameters import Parameter, read_text

    home = _project(project)
    found = home.set_function(function, handler=handler) if Path(function).suffix in (".py", ".ipynb") else home.get_function(function)
    declared = {parameter.name: parameter for parameter in found.record.parameters}
    typed = {key: read_text(declared.get(key, Parameter(key)), text) for key, text in _pairs(params, "param").items()}
    made = found.run(
        handler=handler, params=typed, inputs=_pairs(inputs, "input"), labels=_pairs(labels, "label"), name=name, executor=executor,
        timeout=timeout, retries=retries, artifact_path=artifact_path, watch=False,
    )  # fmt: skip
    if not background:
        try:
            made.logs(watch=True, file=sys.stderr if as_json else sys.stdout)
        except KeyboardInterrupt:
            made.abort("interrupted on the command line")
    _show(made, as_json, made.to_dict())
    if not background:
        try:
            made.raise_for_failure()
        except RunFailedError:
            sys.exit(1)


@cli.group(cls=_Listing)
def runs() -> None:
    """Runs: list, show, why they ended, delete. Without a command: list."""


@runs.command("list")
@click.option("--name", default="", help="~part for a part of the name.")
@click.option("--state", multiple=True)
@click.option("--label", "-l", "labels", multiple=True)
@click.option("--function", default="")
@click.option("--limit", default=20, show_default=True)
@_project_option
@_as_json
def runs_list(
    name: str = "", state: tuple[str, ...] = (), labels: tuple[str, ...] = (), function: str = "", limit: int = 20,
    project: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """The newest runs."""
    found = _project(project).list_runs(name=name, state=list(state), labels=list(labels), function=function, limit=limit)
    _show(found, as_json, [one.to_dict() for one in found])


@runs.command("show")
@_uid
@_as_json
def runs_show(uid: str, as_json: bool) -> None:
    """One run."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid)
    found.state()
    _show(found, as_json, {**found.to_dict(), "lineage": found.lineage()})


@runs.command("report")
@_uid
def runs_report(uid: str) -> None:
    """Print the path of the run's HTML report."""
    from mlrun_jupyter.project import get_run

    click.echo(get_run(uid).report())


@runs.command("delete")
@_uid
def runs_delete(uid: str) -> None:
    """Delete a run's record and its folder; its artifacts stay."""
    import shutil

    from mlrun_jupyter.project import get_run, session

    found = get_run(uid)
    session().store.delete_run(found.uid)
    shutil.rmtree(found.folder, ignore_errors=True)
    click.echo(f"deleted {found.uid}")


@cli.command()
@_uid
@click.option("--follow", "-f", is_flag=True, help="Until the run ends.")
def logs(uid: str, follow: bool) -> None:
    """What a run printed."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid)
    if follow:
        found.logs(watch=True)
    else:
        click.echo(found.logs(), nl=False)


@cli.command()
@_uid
def abort(uid: str) -> None:
    """End a run, with all its processes."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid).abort()
    click.echo(f"{found.uid[:12]} {found.state()}")


@cli.group(cls=_Listing)
def functions() -> None:
    """Functions: list, show, compare, export, tag. Without a command: list."""


@functions.command("list")
@click.argument("name", required=False, default="")
@_project_option
@_as_json
def functions_list(name: str = "", project: str | None = None, as_json: bool = False) -> None:
    """All versions, newest first."""
    from mlrun_jupyter.runs.display import functions_table

    home = _project(project)
    rows = home._session.store.list_functions(home.name, name)
    document = [{"name": f.name, "hash": f.hash, "tags": list(tags), "created": f.created, "uri": f.uri} for f, tags in rows]
    _show(functions_table(rows), as_json, document)


@functions.command("show")
@click.argument("function", shell_complete=_Names.functions)
@_project_option
@_as_json
def functions_show(function: str, project: str | None, as_json: bool) -> None:
    """A version: parameters, inputs, outputs, code."""
    import msgspec

    found = _project(project).get_function(function)
    _show(found, as_json, {**msgspec.to_builtins(found.record), "hash": found.hash, "schema": found.schema})
    if not as_json:
        for cell in found.record.code.cells:
            click.echo(f"\n# {cell.role}\n{cell.source}", nl=False)


@functions.command("diff")
@click.argument("one", shell_complete=_Names.functions)
@click.argument("other", shell_complete=_Names.functions)
@_project_option
def functions_diff(one: str, other: str, project: str | None) -> None:
    """What differs in code and spec. Exit status 1 when anything does."""
    found = _project(project).diff(one, other)
    click.echo(f"{found!r}")
    sys.exit(1 if found.lines() else 0)


@functions.command("export")
@click.argument("function", shell_complete=_Names.functions)
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@_project_option
def functions_export(function: str, target: Path, project: str | None) -> None:
    """Write a version as a notebook (.ipynb) that bare papermill runs, or as .yaml or .json."""
    click.echo(_project(project).get_function(function).export(target))


@functions.command("tag")
@click.argument("function", shell_complete=_Names.functions)
@click.argument("tag")
@_project_option
def functions_tag(function: str, tag: str, project: str | None) -> None:
    """Move a tag to a version."""
    from mlrun_jupyter.model.names import check_tag

    home = _project(project)
    found = home.get_function(function)
    home._session.store.put_function(found.record, [check_tag(tag)])
    click.echo(f"{found.name}:{tag} is {found.uri}")


@cli.group(cls=_Listing)
def artifacts() -> None:
    """Artifacts: list, show, lineage. Without a command: list."""


@artifacts.command("list")
@click.option("--name", default="", help="~part for a part of the key.")
@click.option("--kind", default="", help="model, dataset, other, …")
@click.option("--tag", default="")
@click.option("--limit", default=50, show_default=True)
@_project_option
@_as_json
def artifacts_list(name: str = "", kind: str = "", tag: str = "", limit: int = 50, project: str | None = None, as_json: bool = False) -> None:
    """Versions, newest first."""
    import msgspec

    found = _project(project).list_artifacts(name=name, kind=kind, tag=tag, limit=limit)
    _show(found, as_json, [{**msgspec.to_builtins(a), "uri": a.uri(), "tags": list(tags)} for a, tags in found.rows])


@artifacts.command("show")
@click.argument("uri")
@_project_option
@_as_json
def artifacts_show(uri: str, project: str | None, as_json: bool) -> None:
    """An artifact by its store:// URI or key, with the runs that made and read it."""
    import msgspec

    from mlrun_jupyter.model.canonical import to_yaml

    home = _project(project)
    artifact = home._session.locate(uri if "://" in uri else f"store://{home.name}/{uri}", home.name).artifact
    document = {
        **msgspec.to_builtins(artifact), "uri": artifact.uri(), "location": home._session.path_of(artifact),
        "uses": home._session.store.list_uses(uri=artifact.uri()),
    }  # fmt: skip
    if not as_json:
        document.pop("status", None)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False) if as_json else to_yaml(document))


@cli.group(cls=_Listing)
def project() -> None:
    """Projects: list, show, secrets, delete. Without a command: list."""


@project.command("list")
@_as_json
def project_list(as_json: bool) -> None:
    """All projects."""
    from mlrun_jupyter.project import list_projects

    names = list_projects()
    click.echo(json.dumps(names) if as_json else "\n".join(names) or "no projects")


@project.command("show")
@click.argument("name", shell_complete=_Names.projects)
@_as_json
def project_show(name: str, as_json: bool) -> None:
    """A project's document."""
    import msgspec

    found = _project(name)
    click.echo(json.dumps(msgspec.to_builtins(found.document), indent=2) if as_json else found.to_yaml())


@project.command("set-secret")
@click.argument("name")
@click.option("--value", prompt=True, hide_input=True)
@_project_option
def project_set_secret(name: str, value: str, project: str | None) -> None:
    """Store a secret of the project; asked for when --value is not given."""
    _project(project).set_secrets({name: value})
    click.echo(f"secret://{name} is set")


@project.command("delete")
@click.argument("name", shell_complete=_Names.projects)
@click.option("--cascade", is_flag=True, help="With all functions, runs and artifact records.")
def project_delete(name: str, cascade: bool) -> None:
    """Delete a project."""
    from mlrun_jupyter.project import delete_project

    delete_project(name, "cascade" if cascade else "restricted")
    click.echo(f"deleted {name}")


@cli.command()
@click.option("--timeout", default=60.0, show_default=True, help="Seconds.")
def flush(timeout: float) -> None:
    """Bring what waits in the outbox to MLflow. Exit status 1 when something is left."""
    from mlrun_jupyter.project import flush as send

    left = send(timeout)
    click.echo("everything is sent" if not left else f"{left} messages are left")
    sys.exit(1 if left else 0)


@cli.command()
@_as_json
def doctor(as_json: bool) -> None:
    """Check the installation and say what to mend. Exit status 1 when there are problems."""
    from mlrun_jupyter.cli.doctor import examine

    found = examine()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(f"home            {found['home']}\nstore           {found['store']}\ntracking_uri    {found['tracking_uri']}")
        for name, version in found["versions"].items():
            click.echo(f"{name:<16}{version}")
        for problem in found["problems"]:
            click.echo(f"✘ {problem['what']}\n  cause: {problem['why']}\n  next:  {problem['next']}")
        if not found["problems"]:
            click.echo("✔ everything is in order")
    sys.exit(1 if found["problems"] else 0)


@cli.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True)
@click.option("--rows", default=0, help="Take so many flights only; 0: all 336,776.")
def demo(folder: Path, rows: int) -> None:
    """Run the quick start on the flights of New York in 2013, and show where to look."""
    from mlrun_jupyter.cli.demo import play

    play(folder, rows)
