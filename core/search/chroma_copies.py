"""Copies of the index of a directory, because Chroma saves it in place, and a kill would leave neither."""

import os
import re
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

_INDEX_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAVED = (
    "SELECT segments.id, max_seq_id.seq_id FROM segments "
    "LEFT JOIN max_seq_id ON max_seq_id.segment_id = segments.id WHERE segments.scope = 'VECTOR'"
)


def index_names(directory: Path) -> list[str]:
    """The indexes that Chroma saved there, one a collection that has grown enough."""
    return [each.name for each in directory.iterdir() if _INDEX_NAME.fullmatch(each.name)]


class IndexCopies:
    """Keeps one copy of each index.

    The rows of `max_seq_id` say up to which write an index is saved; the writes since are in a queue in
    SQLite, which loses nothing. So a copy with the same number is as good as the index itself.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._copies = directory / "gwp-chat-copies"
        self._open_mark = directory / "gwp-chat.open"
        self._tried: dict[str, int] = {}

    def begin(self) -> None:
        """Before Chroma opens: trust no index that a process may have been saving when it was killed."""
        if self._open_mark.exists():
            self._restore()
        self._open_mark.write_text(str(os.getpid()), encoding="ascii")
        self.keep()

    def end(self) -> None:
        """After Chroma has closed."""
        self._open_mark.unlink(missing_ok=True)

    def keep(self) -> None:
        """Copy what was saved since the last copy, and remove what Chroma left of dropped collections."""
        saved = self._saved()
        for index, number in saved.items():
            if number is not None and number not in {self._tried.get(index), self._copied(index)}:
                self._tried[index] = number
                with suppress(OSError):  # a full disk: vectors are given and found without a copy, too
                    self._copy(index, number)
        for index in index_names(self._directory):
            if index not in saved:
                shutil.rmtree(self._directory / index, ignore_errors=True)
                shutil.rmtree(self._copies / index, ignore_errors=True)

    def _copy(self, index: str, number: int) -> None:
        partial = self._copies / f"{index}.part"
        shutil.rmtree(self._copies / index, ignore_errors=True)
        try:
            shutil.copytree(self._directory / index, partial)
            (partial / "number").write_text(str(number), encoding="ascii")
            partial.rename(self._copies / index)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _restore(self) -> None:
        """Put copies in place; an index that was never saved whole is made anew out of the queue."""
        saved = self._saved()
        for index in index_names(self._directory):
            number = saved.get(index)
            if number is None:
                shutil.rmtree(self._directory / index)
            elif self._copied(index) == number:
                shutil.rmtree(self._directory / index)
                shutil.copytree(self._copies / index, self._directory / index)

    def _copied(self, index: str) -> int | None:
        try:
            return int((self._copies / index / "number").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _saved(self) -> dict[str, int | None]:
        database = self._directory / "chroma.sqlite3"
        if not database.exists():
            return {}
        with closing(sqlite3.connect(database)) as connection:
            return dict(connection.execute(_SAVED))
