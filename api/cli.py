"""`gwp-chat`: the commands of an operator."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.app import create_app
from api.demo import command as demo_command
from api.indexing import index
from api.pages import settings_page
from api.reindexing import show_reindexing
from api.server import serve as serve_app
from api.transferring import show_transfer
from core.db.migrate import found_revision, head_revision, missing_sql
from core.db.migrate import migrate as migrate_database
from core.errors import SettingsError
from core.settings import Settings, load_settings
from graphql_schema.schema import schema as graphql_schema

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Host = Annotated[str, typer.Option(help="Address to listen on")]
Port = Annotated[int, typer.Option(help="Port to listen on", min=0, max=65535)]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8009,
    workers: Annotated[int, typer.Option(help="Processes", min=1)] = 1,
) -> None:
    """Run the server, configured by CHAT_* variables and `.env`.

    Several processes need PostgreSQL, Redis or Valkey, and a Chroma server. SIGHUP replaces them by new
    ones, one after the other, while the others serve.
    """
    serve_app(load_settings(), host=host, port=port, workers=workers)


@app.command()
def worker() -> None:
    """Only index texts, for servers that CHAT_SEARCH_INDEXING=false keeps from it; as many as you like."""
    index(load_settings())


@app.command()
def demo(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on", min=1, max=65535)] = 8009,
    model_port: Annotated[int, typer.Option(help="Port of the embedded model", min=1, max=65535)] = 8080,
    embedding_port: Annotated[
        int, typer.Option(help="Port of the embedded embedding model", min=1, max=65535)
    ] = 8081,
    data_dir: Annotated[Path, typer.Option(help="Where the demo keeps everything")] = Path("data"),
) -> None:
    """Run the server with a small real model on this machine; nothing needs to be set."""
    demo_command.run(
        host=host, port=port, model_port=model_port, embedding_port=embedding_port, data_dir=data_dir
    )


@app.command()
def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is missing; status 1 if it is")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Only print the SQL that is missing")] = False,
) -> None:
    """Bring the database to the schema of this version."""
    url = load_settings().database_url
    if sql:
        typer.echo(missing_sql(url), nl=False)
    elif check:
        found, wanted = found_revision(url), head_revision()
        if found != wanted:
            typer.echo(f"The database is at revision {found or 'none'}, this version needs {wanted}.")
            raise typer.Exit(1)
        typer.echo(f"The database is at revision {found}, as this version needs it.")
    else:
        typer.echo(f"The database is at revision {migrate_database(url)}.")


@app.command()
def reindex(
    model: Annotated[
        str | None, typer.Option(help="Embed by this model; default: the one that is set")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only what was written then or later, in UTC", formats=_DATES)
    ] = None,
) -> None:
    """Index all texts anew beside the index that answers searches, then let the new one answer.

    A running server does the work, and this shows how far it is; without one it is done here. Stop it when
    you like: the next one goes on.
    """
    settings = load_settings()
    if model is not None:
        settings = settings.model_copy(update={"embedding_model_name": model})
    show_reindexing(settings, since.replace(tzinfo=UTC) if since is not None else None)


@app.command()
def transfer(
    source: Annotated[str, typer.Option("--from", help="URL of the database that is copied")],
    target: Annotated[
        str, typer.Option("--to", help="URL of an empty one, `postgresql://…` or `sqlite:///…`")
    ],
) -> None:
    """Copy all rows to another database and compare both; no server may be at work on either.

    Stop it when you like: the next one goes on. The search index is made anew by the server that is
    started on the other database.
    """
    show_transfer(source, target)


@app.command("export-schema")
def export_schema(
    directory: Annotated[Path, typer.Argument(help="The root of the repository")] = Path(),
) -> None:
    """Write schema.graphql, openapi.json and docs/settings.md anew."""
    for name, text in schema_files().items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")
        typer.echo(f"Wrote {directory / name}.")


def schema_files() -> dict[str, str]:
    """The files that are written from the code, by name, whatever this process's settings."""
    openapi = create_app(Settings.model_construct()).openapi()
    return {
        "schema.graphql": graphql_schema.as_str() + "\n",
        "openapi.json": json.dumps(openapi, indent=2, ensure_ascii=False) + "\n",
        "docs/settings.md": settings_page(),
    }


def main() -> None:
    """Run the command line; a wrong setting ends it with one sentence and status 2."""
    try:
        app()
    except SettingsError as error:
        sys.stderr.write(f"gwp-chat: {error}\n")
        sys.exit(2)
