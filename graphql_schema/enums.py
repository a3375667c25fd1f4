"""The enums of the schema: core's own, each value with a word to its user."""

from enum import StrEnum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from core.db.records import MessageStatus, RunStatus, SenderType
from core.exports import ExportFormat
from core.resolvers.search import SearchMode
from core.search.ranking import MatchedBy

AnyEnum = TypeVar("AnyEnum", bound=type[StrEnum])


def described(enum: AnyEnum, description: str, values: dict[str, str]) -> AnyEnum:
    """Make `enum` one of the schema's, with a description for each of its values."""
    strawberry.enum(enum, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]
    return enum


described(
    SenderType,
    "Who wrote a message.",
    {
        "USER": "The owner of the thread.",
        "ASSISTANT": "The model, or the agent, that the thread talks to.",
        "SYSTEM": "The server or an operator.",
    },
)
described(
    MessageStatus,
    "How far a message is.",
    {
        "QUEUED": "Stored; nobody works on it yet.",
        "PROCESSING": "Its answer is being written.",
        "READY": "Nothing more will happen to it.",
        "ERROR": "Its answer failed; `error` says why. Sending again asks again.",
    },
)
described(
    RunStatus,
    "How far an answer is. The last four are final.",
    {
        "QUEUED": "Waits for the answers before it in its thread, or for a free place.",
        "RUNNING": "The provider was asked and has not answered yet.",
        "STREAMING": "Text is arriving.",
        "COMPLETED": "The answer is whole.",
        "INTERRUPTED": "The agent asks the user something; the next message answers it.",
        "FAILED": "The provider or the server failed; what had arrived is kept.",
        "CANCELLED": "Its owner stopped it; what had arrived is kept.",
    },
)
described(
    SearchMode,
    "How to search.",
    {
        "HYBRID": "By meaning and by words, the ranks of both joined. Without vectors by words alone.",
        "SEMANTIC": "By meaning alone, in any language that the embedding model knows.",
        "REGEX": "By a regular expression, newest first; letter case makes no difference.",
        "TEXT": "By words: what has more of them, and rarer ones, comes first.",
    },
)
described(
    MatchedBy,
    "What found a text.",
    {"MEANING": "Its meaning is close to the query's.", "TEXT": "Its words, or the expression, match."},
)
described(
    ExportFormat,
    "The format of an exported thread.",
    {
        "MARKDOWN": "Plain text with Markdown.",
        "PDF": "A PDF that renders every script.",
        "DOCX": "A document for word processors.",
    },
)


class Permission(StrEnum):
    """What an account may do beyond its own threads."""

    MANAGE_USERS = "manage_users"


described(
    Permission,
    "What an account may do beyond its own threads.",
    {"MANAGE_USERS": "List, create, change and deactivate accounts."},
)
