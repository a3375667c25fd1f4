"""Documents: parsed, checked and validated once, then known by their text."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    ValuesOfCorrectTypeRule,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)

from core.errors import SettingsError
from graphql_schema.costs import CompiledCost, CostModel
from graphql_schema.errors import BAD_USER_INPUT, refusal
from graphql_schema.executor import Plans
from graphql_schema.limits import QUERY_TOO_COMPLEX, Limits, check_document
from graphql_schema.recently_used import RecentlyUsed

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
_TOO_MANY_TOKENS = "tokens. Parsing aborted."  # the end of the message of graphql-core, which gives no code
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"

# A parsed document takes up to 300 bytes for each of its characters.
KNOWN_CHARACTERS = 500_000
PERSISTED_CHARACTERS = 5_000_000
MOST_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document."""

    ast: DocumentNode
    cost: CompiledCost
    asks_for_schema: bool
    # What its executions found out; see `AttributeExecutor`.
    plans: Plans = field(default_factory=dict)


class InvalidDocument(Exception):
    """The document cannot be executed, whatever its variables."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


class Documents:
    """Valid documents by their text, and by the hash that persisted operations go by."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        *,
        largest: int,
        suggestions: bool,
        allowed: dict[str, str] | None = None,
    ) -> None:
        """`allowed` are the only documents that may be used, by hash; None allows all."""
        self._schema = schema
        self._limits = limits
        self._costs = CostModel(schema)
        self._largest = largest
        self._suggestions = suggestions
        self._allowed = allowed
        self._known: RecentlyUsed[Document] = RecentlyUsed(KNOWN_CHARACTERS)
        self._persisted: RecentlyUsed[str] = RecentlyUsed(PERSISTED_CHARACTERS)

    def is_allowed(self, text: str) -> bool:
        """Whether this text may be used."""
        return self._allowed is None or digest(text) in self._allowed

    def persisted(self, key: str) -> str | None:
        """The text that this hash stands for, if it is known."""
        return self._persisted.get(key) if self._allowed is None else self._allowed.get(key)

    def persist(self, text: str) -> None:
        """Know this text by its hash from now on."""
        self._persisted.put(digest(text), text, size=len(text))

    def get(self, text: str) -> Document:
        """The document of this text. Raises `InvalidDocument`."""
        known = self._known.get(text)
        if known is not None:
            return known
        document = self._read(text)
        self._known.put(text, document, size=len(text))
        return document

    def _read(self, text: str) -> Document:
        if len(text) > self._largest:
            message = (
                f"The document is larger than {self._largest} characters; send less, or several requests"
            )
            raise InvalidDocument([refusal(message, QUERY_TOO_COMPLEX, limit="document")])
        try:
            ast = parse(text, max_tokens=self._limits.max_tokens)
            self._validate(ast)
        except GraphQLSyntaxError as error:
            if error.message.endswith(_TOO_MANY_TOKENS):
                raise InvalidDocument([_too_many_tokens(self._limits.max_tokens)]) from None
            raise InvalidDocument([_coded(error, PARSE_FAILED)]) from None
        except RecursionError:
            message = "The document is nested too deeply; flatten it"
            raise InvalidDocument([refusal(message, QUERY_TOO_COMPLEX, limit="depth")]) from None
        return Document(ast, self._costs.compile(ast), _asks_for_schema(ast))

    def _validate(self, ast: DocumentNode) -> None:
        # Before the rules of the specification: some of them take very long for what is refused here.
        errors = check_document(ast, self._limits)
        if not errors:
            errors = validate(
                self._schema, ast, _RULES, max_errors=self._limits.max_errors, hide_suggestions=True
            )
            if errors and self._suggestions:
                # Names are compared with all names of the schema: for a few errors only.
                errors = validate(self._schema, ast, _RULES, max_errors=MOST_SUGGESTIONS)
        if errors:
            raise InvalidDocument([_coded(error, VALIDATION_FAILED) for error in errors])


def _too_many_tokens(most: int) -> GraphQLError:
    message = f"The document has more than {most} tokens, the limit; send less, or several requests"
    return refusal(message, QUERY_TOO_COMPLEX, limit="tokens", maximum=most)


class _BadValue(ValuesOfCorrectTypeRule):
    """A wrong id, date or enum value is the user's input, whether in the document or a variable."""

    def report_error(self, error: GraphQLError) -> None:
        if not isinstance(error.original_error, GraphQLError | None):  # Python's words, of its own limits
            error = GraphQLError("This value does not fit its type", error.nodes)
        error.message = error.message.replace("not to be None", "not to be null")
        super().report_error(_coded(error, BAD_USER_INPUT))


_RULES = tuple(_BadValue if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules)


def digest(text: str) -> str:
    """The hash that a persisted operation goes by: SHA-256 in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def load_allowed(file: Path) -> dict[str, str]:
    """The documents of a list by their hash. Raises `SettingsError`.

    The file is a JSON object of documents by any id, as Relay's compiler writes it, or an Apollo
    manifest. Documents go by their own hash and by the id that the list gives them.
    """
    name = "CHAT_GRAPHQL_ALLOWED_OPERATIONS"
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise SettingsError(f"{name}: cannot read {file} ({reason})") from None
    with suppress(TypeError, KeyError):
        operations: Any = content.get("operations") if isinstance(content, dict) else None
        is_manifest = isinstance(operations, list)
        listed = {item["id"]: item["body"] for item in operations} if is_manifest else {**content}
        if all(isinstance(part, str) for item in listed.items() for part in item):
            return listed | {digest(text): text for text in listed.values()}
    raise SettingsError(f"{name}: {file} must hold an object of documents by id, or an Apollo manifest")


def _asks_for_schema(ast: DocumentNode) -> bool:
    finder = _SchemaFields()
    visit(ast, finder)
    return finder.found


class _SchemaFields(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        self.found = self.found or node.name.value in ("__schema", "__type")


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    if "code" not in (error.extensions or {}):
        error.extensions = {**(error.extensions or {}), "code": code}
    return error
