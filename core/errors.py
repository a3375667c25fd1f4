"""Every failure that core tells its callers, in one tree.

`code` is stable and meant for programs; `str(error)` is one sentence meant for people and safe to
show to them. Each API maps the classes of the second level to its own statuses, once.
"""

from typing import ClassVar


class CoreError(Exception):
    """A failure that the caller may be told about."""

    code: ClassVar[str] = "INTERNAL"


class SettingsError(CoreError):
    """A setting is wrong; the sentence names its variable."""

    code = "SETTINGS"


class Unauthenticated(CoreError):
    """Nobody is signed in, or what was presented no longer counts."""

    code = "UNAUTHENTICATED"


class InvalidCredentials(Unauthenticated):
    """Wrong name, wrong password or inactive user: deliberately one and the same."""

    code = "INVALID_CREDENTIALS"

    def __init__(self) -> None:
        super().__init__("Invalid credentials")


class NotAllowed(CoreError):
    """The caller is known, and may not do this."""

    code = "NOT_ALLOWED"


class NotFound(CoreError):
    """There is no such thing, or it is another owner's: indistinguishable."""

    code = "NOT_FOUND"


class ThreadNotFound(NotFound):
    code = "THREAD_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Thread not found")


class MessageNotFound(NotFound):
    code = "MESSAGE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Message not found")


class RunNotFound(NotFound):
    code = "RUN_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Run not found")


class AttachmentNotFound(NotFound):
    code = "ATTACHMENT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Attachment not found")


class ProviderThreadNotFound(NotFound):
    code = "PROVIDER_THREAD_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Provider thread not found")


class UserNotFound(NotFound):
    code = "USER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("User not found")


class Conflict(CoreError):
    """The request is well formed and contradicts what is stored."""

    code = "CONFLICT"


class UserExists(Conflict):
    code = "USER_EXISTS"

    def __init__(self) -> None:
        super().__init__("A user with this username or email already exists")


class LastAdmin(Conflict):
    code = "LAST_ADMIN"

    def __init__(self) -> None:
        super().__init__("This is the last active administrator; make another one first")


class NotLatest(Conflict):
    code = "NOT_LATEST"

    def __init__(self) -> None:
        super().__init__("Only the newest question of a thread can be answered again")


class InvalidRequest(CoreError):
    """The request can never succeed as it is; the sentence says what to change."""

    code = "INVALID_REQUEST"


class NotStorable(InvalidRequest):
    code = "NOT_STORABLE"

    def __init__(self) -> None:
        super().__init__("A text holds characters that cannot be stored, such as NUL; leave them out")


class InvalidQuery(InvalidRequest):
    """Nothing can be searched for by this."""

    code = "INVALID_QUERY"


class ModelRequired(InvalidRequest):
    code = "MODEL_REQUIRED"

    def __init__(self) -> None:
        super().__init__("Model is required")


class InvalidAttachment(InvalidRequest):
    code = "INVALID_ATTACHMENT"

    def __init__(self) -> None:
        super().__init__("Invalid attachment encoding")


class CursorInvalid(InvalidRequest):
    """The cursor is malformed, of the future, or of something else than what is asked for."""

    code = "CURSOR_INVALID"

    def __init__(self) -> None:
        super().__init__("This cursor does not belong here; leave it out to start anew")


class InvalidInput(CoreError):
    """One field has a value that cannot be used."""

    code = "INVALID_INPUT"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class IdempotencyMismatch(InvalidInput):
    code = "IDEMPOTENCY_MISMATCH"

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key", "This idempotency key was used with another request; use a new key"
        )


class QueueFull(CoreError):
    """Too many runs of this thread wait already; nothing was stored."""

    code = "QUEUE_FULL"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} answers of this thread are already waiting; send again when one is finished"
        )


class AnswerStopped(CoreError):
    """The server stopped in mid-answer; the question is stored, so sending again would ask twice."""

    code = "SERVER_STOPPED"


class Unavailable(CoreError):
    """A part is switched off or out of reach for now; nothing was stored."""

    code = "UNAVAILABLE"


class ProviderOff(Unavailable):
    def __init__(self) -> None:
        super().__init__("The LLM provider is switched off (CHAT_LLM_ENABLED=false)")


class ProviderError(CoreError):
    """The provider failed; the sentence is the provider's own where it gave one."""

    code = "PROVIDER_ERROR"
