"""`gwp-chat reindex` at a terminal: a bar with how far it is, how fast, and how long it takes."""

import asyncio
import sys
import time
from datetime import datetime

import typer

from core.logs import configure_logging
from core.search.reindex import Progress, reindex
from core.settings import Settings


def show_reindexing(settings: Settings, since: datetime | None) -> None:
    """Reindex until it is done. Raises `SettingsError` with a sentence if it cannot."""
    configure_logging("ERROR")  # the bar tells of what cannot be reached
    began = time.monotonic()
    with typer.progressbar(length=1, label="Indexing", show_pos=True, show_eta=True) as bar:
        first: int | None = None
        told_trouble: str | None = None

        def told(progress: Progress) -> None:
            nonlocal first, told_trouble
            if progress.trouble != told_trouble and not sys.stdout.isatty():  # where the bar is not shown
                told_trouble = progress.trouble
                typer.echo(f"gwp-chat: {told_trouble or 'it goes on'}", err=True)
            first = progress.done if first is None else first
            rate = (progress.done - first) / max(time.monotonic() - began, 0.001)
            bar.length = max(progress.total, 1)
            bar.label = progress.trouble or f"Indexing, {rate:.0f} texts/s"
            bar.update(progress.done - bar.pos)

        asyncio.run(reindex(settings, told, since))
    typer.echo(f"All texts are indexed for the model {settings.embedding_model_name}.")
