"""`gwp-chat transfer` at a terminal: a bar with how far it is and how long it takes."""

import typer

from core.db.transfer import Progress, transfer


def show_transfer(source: str, target: str) -> None:
    """Transfer until it is done. Raises `SettingsError` with a sentence if it cannot."""
    with typer.progressbar(length=1, label="Rows read", show_pos=True, show_eta=True) as bar:

        def told(progress: Progress) -> None:
            bar.length = max(progress.total, 1)
            bar.update(progress.done - bar.pos)

        rows = transfer(source, target, told)
    typer.echo(f"All {rows} rows are there, and compared. The bytes of attachments stay where they are.")
