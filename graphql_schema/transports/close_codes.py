"""How sockets end."""

from enum import IntEnum


class CloseCode(IntEnum):
    """The close codes that this server sends: those of RFC 6455, then those of graphql-transport-ws."""

    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY = 4429
