"""How many connections stay open: sockets and event streams, by user and by address."""

from collections import Counter
from contextlib import ExitStack
from uuid import UUID

from starlette.requests import HTTPConnection

from core.errors import CoreError
from core.settings import Settings

TOO_MANY_OPERATIONS = "TOO_MANY_OPERATIONS"


class TooManyConnections(CoreError):
    """One more connection of this user, or from this address, is not allowed."""

    code = "TOO_MANY_CONNECTIONS"

    def __init__(self) -> None:
        super().__init__("Too many sockets and streams are open; close some, or try again later")


class Admission:
    """Counts the open connections of this process."""

    def __init__(self, settings: Settings) -> None:
        self._per_user = settings.graphql_max_connections_per_user
        self._per_address = settings.graphql_max_connections_per_address
        self._open: Counter[object] = Counter()

    def admit(self, connection: HTTPConnection, user_id: UUID | None = None) -> ExitStack:
        """Count a connection until the stack that is returned is closed. Raises `TooManyConnections`."""
        with ExitStack() as places:
            self._take(places, _address(connection), self._per_address)
            self.add_user(places, user_id)
            return places.pop_all()

    def add_user(self, places: ExitStack, user_id: UUID | None) -> None:
        """Count an admitted connection for its user, too. Raises `TooManyConnections`."""
        if user_id is not None:
            self._take(places, user_id, self._per_user)

    def add_nobody(self, places: ExitStack, connection: HTTPConnection) -> None:
        """Count an admitted connection that is nobody's. Raises `TooManyConnections`.

        Those who have signed in at the same address keep most of its places.
        """
        self._take(places, ("nobody", _address(connection)), max(1, self._per_address // 4))

    def _take(self, places: ExitStack, key: object, most: int) -> None:
        if self._open[key] >= most:
            raise TooManyConnections
        self._open[key] += 1
        places.callback(self._release, key)

    def _release(self, key: object) -> None:
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]


def _address(connection: HTTPConnection) -> str | None:
    return connection.client.host if connection.client is not None else None
