"""``features``: sets and vectors, their rows, and what is found in them."""

from __future__ import annotations

import json
from typing import Any

import click

from mlrun_jupyter.cli.common import (
    Listing,
    as_json_option,
    cli,
    current_project,
    page_option,
    pairs,
    project_option,
    show,
)
from mlrun_jupyter.errors import MLRunError


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from mlrun_jupyter import feature_store

    try:
        project = current_project(ctx.params.get("project")).name
        rows = [*feature_store.list_feature_sets(project), *feature_store.list_feature_vectors(project)]
        return [one.document.name for one in rows if one.document.name.startswith(incomplete)]
    except MLRunError:
        return []


name_argument = click.argument("name", shell_complete=_names)


@cli.group(cls=Listing)
def features() -> None:
    """Feature sets and vectors: list, find, show, apply, ingest, get, online, check, catalogue, dashboard, delete. Without a command: list."""


@features.command("list")
@click.option("--text", default="", help="A part of name or description, of the set or of a feature.")
@click.option("--entity", default="", help="A key of the set.")
@click.option("--owner", default="")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY[=VALUE]")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@page_option
@project_option
@as_json_option
def features_list(
    text: str = "", entity: str = "", owner: str = "", labels: tuple[str, ...] = (), limit: int = 50, page_token: str = "",
    project: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """Sets, then vectors; a page of each at a time."""
    from mlrun_jupyter import feature_displays

    home = current_project(project).name
    rows, token = feature_displays.both(home, entity=entity, page_token=page_token, text=text, owner=owner, labels=labels, limit=limit)
    show(feature_displays.objects(rows, token), as_json, [_document(one.kind, one.document, one.status, one.tags) for one in rows])


@features.command("find")
@click.argument("text", required=False, default="")
@click.option("--name", default="", help="~part for a part of the name.")
@click.option("--entity", default="", help="A key of the set.")
@click.option("--owner", default="")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY[=VALUE]")
@project_option
@as_json_option
def features_find(text: str, name: str, entity: str, owner: str, labels: tuple[str, ...], project: str | None, as_json: bool) -> None:
    """Features with TEXT in the name or description, their own or their set's."""
    import msgspec

    from mlrun_jupyter import feature_displays, feature_store

    rows = feature_store.list_features(text, current_project(project).name, name=name, entity=entity, owner=owner, labels=labels)
    show(feature_displays.features(rows), as_json, [{**msgspec.to_builtins(one), "reference": one.reference} for one in rows])


@features.command("show")
@name_argument
@click.argument("part", required=False, default="", type=click.Choice(["", "stats", "history", "preview", "yaml"]))
@project_option
@as_json_option
def features_show(name: str, part: str, project: str | None, as_json: bool) -> None:
    """A set or vector: its columns; or its statistics, versions, first rows, or definition."""
    from mlrun_jupyter import feature_displays

    found = _get(name, project)
    document = _document(found.kind, found.document, found.status, ())
    if part == "yaml":
        click.echo(found.to_yaml(), nl=False)
    elif part:
        whole = {"stats": found.status.stats, "preview": found.status.preview}
        show(feature_displays.part(found, part), as_json, whole[part] if part in whole else found.history())
    else:
        show(found, as_json, document)


@features.command("apply")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--tag", default="", help="A name for this version beside latest.")
@project_option
def features_apply(files: tuple[str, ...], tag: str, project: str | None) -> None:
    """Define sets and vectors by their YAML files, as they lie in a project's folder features/."""
    from mlrun_jupyter import feature_store

    home = current_project(project).name
    # all are read before one is stored
    for one in [feature_store.load(file, home) for file in files]:
        one.save(tag)
        click.echo(f"{one.kind} {one.name}@{one.document.hash[:12]}")


@features.command("ingest")
@name_argument
@click.argument("source", required=False, default=None)
@click.option("--upsert", is_flag=True, help="Rows of the same keys and time are replaced.")
@click.option("--overwrite", is_flag=True, help="All rows are replaced, and the schema.")
@click.option("--incremental", is_flag=True, help="Only what is later than what was read before.")
@click.option("--preview", is_flag=True, help="Show the first rows as they would be; write nothing.")
@click.option("--service", is_flag=True, help="In a run of its own, which reads the set's stream until it is aborted.")
@click.option("--schedule", default="", metavar="10m", help="In a run of its own, which takes what is new every so often until it is aborted.")
@project_option
@as_json_option
def features_ingest(
    name: str, source: str | None, upsert: bool, overwrite: bool, incremental: bool, preview: bool, service: bool, schedule: str, project: str | None, as_json: bool
) -> None:  # fmt: skip
    """Rows into a set, from a file that SOURCE names, else from its own source."""
    from mlrun_jupyter import feature_store

    found = feature_store.get_feature_set(name, current_project(project).name)
    if service or schedule:
        run = feature_store.deploy_ingestion_service(found, source, schedule=schedule, upsert=upsert, overwrite=overwrite)
        click.echo(json.dumps({"run": run.uid}) if as_json else f"{run.status.name} {run.uid[:12]} goes on until `mlrun-jupyter abort {run.uid[:12]}`")
        return
    if preview:
        rows = found.preview(source, df_module="polars")
        show(rows.head(20), as_json, rows.head(20).to_dicts())
        return
    done = found.ingest(source, upsert=upsert, overwrite=overwrite, incremental=incremental)
    for note in done.notes:
        click.echo(f"note: {note}", err=True)
    found.reload()
    show(found, as_json, {"version": done.version, "rows": done.rows, "refused": done.refused, "notes": done.notes, "run": done.run})


@features.command("get")
@name_argument
@click.option("--rows", type=click.Path(exists=True), default=None, help="A file of the rows to ask about: .parquet, .csv or .json.")
@click.option("--time", default="", metavar="COLUMN", help="Their column with the time of each.")
@click.option("--output", "-o", required=True, metavar="FILE", help="Where the features go: .parquet or .csv.")
@click.option("--record", type=click.Path(exists=True, dir_okay=False), default=None, help="The record of an earlier one: the same versions are read.")
@click.option("--with-indexes", is_flag=True, help="Keys and times as well.")
@project_option
def features_get(name: str, rows: str | None, time: str, output: str, record: str | None, with_indexes: bool, project: str | None) -> None:
    """The features of a vector, each row as of its time, into a file; beside it FILE.json, the record of what was read."""
    from pathlib import Path

    from mlrun_jupyter import feature_store
    from mlrun_jupyter.features import sources

    vector = feature_store.get_feature_vector(name, current_project(project).name)
    asked = None
    if rows is not None:
        source = sources.source_of(rows)
        assert source is not None
        asked = sources.read(source)
    versions = json.loads(Path(record).read_text(encoding="utf-8")) if record else None
    found = vector.get_offline_features(asked, time, target=output, as_of_versions=versions, with_indexes=with_indexes or None)
    Path(f"{output}.json").write_text(json.dumps(found.record, indent=1), encoding="utf-8")
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{len(found):,} rows in {output}")


@features.command("online")
@name_argument
@click.argument("keys", nargs=-1, required=True, metavar="KEY=VALUE …")
@project_option
def features_online(name: str, keys: tuple[str, ...], project: str | None) -> None:
    """The newest features of one entity, as JSON."""
    from mlrun_jupyter import feature_store

    vector = feature_store.get_feature_vector(name, current_project(project).name)
    with vector.get_online_feature_service() as service:
        found = service.get([service.read_keys(pairs(keys, "key"))])
    click.echo(json.dumps(found[0], indent=2, ensure_ascii=False, default=str))


@features.command("check")
@name_argument
@click.argument("training", type=click.Path(exists=True))
@click.option("--time", required=True, metavar="COLUMN", help="The column with the time of each row.")
@click.option("--sample", default=1000, show_default=True, type=click.IntRange(min=1))
@project_option
@click.pass_context
def features_check(ctx: click.Context, name: str, training: str, time: str, sample: int, project: str | None) -> None:
    """Whether a training set (.parquet, .csv) holds what was not known at the time of its rows. Exit status 1: it does."""
    from mlrun_jupyter import feature_store
    from mlrun_jupyter.features import sources

    vector = feature_store.get_feature_vector(name, current_project(project).name)
    source = sources.source_of(training)
    assert source is not None
    found = vector.leakage_check(sources.read(source), time, sample)
    click.echo(repr(found))
    if not found.clean:
        ctx.exit(1)


@features.command("catalogue")
@click.option("--output", "-o", default="", metavar="FILE", help="Where it goes; else the project's own file, which is kept up to date.")
@click.option("--record", type=click.Path(exists=True, dir_okay=False), default=None, help="The record of a training set: of the versions that it read.")
@project_option
def features_catalogue(output: str, record: str | None, project: str | None) -> None:
    """Write the project's features as a catalogue of Intake, and print its path: intake.open_catalog(path)."""
    from pathlib import Path

    from mlrun_jupyter import feature_store

    versions = json.loads(Path(record).read_text(encoding="utf-8")) if record else None
    click.echo(feature_store.catalogue_file(current_project(project).name, versions, output))


@features.command("dashboard")
@name_argument
@click.option("--output", "-o", default="", metavar="FILE", help="Write one HTML file that needs no network; else the page is served until interrupted.")
@click.option("--kind", type=click.Choice(["feature-set", "feature-vector"]), default=None, help="Where a set and a vector have the same name.")
@click.option("--theme", type=click.Choice(["default", "dark"]), default="default", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="To serve at; 0: a free one.")
@click.option("--no-show", is_flag=True, help="Open no browser.")
@project_option
def features_dashboard(name: str, output: str, kind: str | None, theme: str, port: int, no_show: bool, project: str | None) -> None:
    """A page of a set or vector: distributions, missing values, values over time, correlation, lineage, code."""
    from mlrun_jupyter import feature_store
    from mlrun_jupyter.dashboards import features as pages

    home = current_project(project).name
    getters = {None: feature_store.get_feature_object, "feature-set": feature_store.get_feature_set, "feature-vector": feature_store.get_feature_vector}
    one: Any = getters[kind](name, home)
    if output:
        click.echo(pages.save(one, output, theme))
    else:
        pages.serve(one, port=port, theme=theme, show=not no_show)


@features.command("delete")
@name_argument
@click.option("--tag", default="", help="Only the version with this tag.")
@click.option("--force", is_flag=True, help="The rows of the set as well.")
@project_option
def features_delete(name: str, tag: str, force: bool, project: str | None) -> None:
    """Delete a set or a vector."""
    from mlrun_jupyter import feature_store

    home = current_project(project).name
    found = _get(name, project)
    if found.kind == "feature-set":
        feature_store.delete_feature_set(name, home, tag, force=force)
    else:
        feature_store.delete_feature_vector(name, home, tag)
    click.echo(f"deleted {found.kind} {name}")


def _get(name: str, project: str | None) -> Any:
    """The set, else the vector of the name."""
    from mlrun_jupyter import feature_store

    return feature_store.get_feature_object(name, current_project(project).name)


def _document(kind: str, document: Any, status: Any, tags: Any) -> dict[str, Any]:
    import msgspec

    return {"kind": kind, **msgspec.to_builtins(document), "hash": document.hash, "uri": document.uri, "tags": list(tags), "status": msgspec.to_builtins(status)}
