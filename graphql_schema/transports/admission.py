"""How many connections stay open: sockets and event streams, by user and by address."""

from contextlib import ExitStack
from uuid import UUID

from starlette.requests import HTTPConnection

from core.errors import CoreError
from core.places import Places
from core.settings import Settings

TOO_MANY_OPERATIONS = "TOO_MANY_OPERATIONS"


class TooManyConnections(CoreError):
    """One more connection of this user, or from this address, is not allowed."""

    code = "TOO_MANY_CONNECTIONS"

    def __init__(self) -> None:
        super().__init__("Too many sockets and streams are open; close some, or try again later")


class Admission:
    """Counts the open connections of all processes, or of this one if it is alone."""

    def __init__(self, settings: Settings) -> None:
        self._per_user = settings.graphql_max_connections_per_user
        self._per_address = settings.graphql_max_connections_per_address

    async def admit(self, connection: HTTPConnection, user_id: UUID | None = None) -> ExitStack:
        """Count a connection until the stack that is returned is closed. Raises `TooManyConnections`."""
        with ExitStack() as taken:
            await _take(taken, connection, f"address:{_address(connection)}", self._per_address)
            await self.add_user(taken, connection, user_id)
            return taken.pop_all()

    async def add_user(self, taken: ExitStack, connection: HTTPConnection, user_id: UUID | None) -> None:
        """Count an admitted connection for its user, too. Raises `TooManyConnections`."""
        if user_id is not None:
            await _take(taken, connection, f"user:{user_id}", self._per_user)

    async def add_nobody(self, taken: ExitStack, connection: HTTPConnection) -> None:
        """Count an admitted connection that is nobody's. Raises `TooManyConnections`.

        Those who have signed in at the same address keep most of its places.
        """
        await _take(taken, connection, f"nobody:{_address(connection)}", max(1, self._per_address // 4))


async def _take(taken: ExitStack, connection: HTTPConnection, key: str, most: int) -> None:
    places: Places = connection.app.state.services.places
    if not await places.take(key, most):
        raise TooManyConnections
    taken.callback(places.release, key)


def _address(connection: HTTPConnection) -> str | None:
    return connection.client.host if connection.client is not None else None
