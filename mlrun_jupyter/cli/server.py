"""``server``: the REST routes and the events without Lab."""

from __future__ import annotations

import click

from mlrun_jupyter.cli.common import cli


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--port", default=0, help="The port; else the next free one from 8888 on.")
@click.option("--ip", default="", help="The address to listen at; else this machine alone.")
@click.option("--openapi", is_flag=True, help="Print the OpenAPI document, and end.")
@click.pass_context
def server(ctx: click.Context, port: int, ip: str, openapi: bool) -> None:
    """Serve projects, functions, runs and artifacts as REST under mlrun/v1/, without Lab.

    Further options go to Jupyter Server: --ServerApp.base_url=/team/ and the like. It prints the address with its token.
    """
    # by its name: the core knows nothing of the server
    from importlib import import_module

    from mlrun_jupyter.errors import MLRunMissingDependencyError

    try:
        package = import_module("mlrun_jupyter_server.openapi" if openapi else "mlrun_jupyter_server.app")
    except ModuleNotFoundError as error:
        raise MLRunMissingDependencyError(
            "the server extension is not installed", why=str(error), next_step="pip install mlrun-jupyter"
        ) from error
    if openapi:
        click.echo(package.text(), nl=False)
        return
    options = [f"--ServerApp.port={port}"] if port else []
    options += [f"--ServerApp.ip={ip}"] if ip else []
    package.MlrunServerApp.launch_instance(["--no-browser", *options, *ctx.args])
