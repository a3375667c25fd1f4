"""HTTP requests into operation requests.

https://graphql.github.io/graphql-over-http/draft/
https://github.com/jaydenseric/graphql-multipart-request-spec
"""

from typing import Any

import msgspec
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from core.plain import is_too_deep
from core.settings import Settings
from graphql_schema.context import bearer_token
from graphql_schema.operations import OperationRequest
from graphql_schema.transports import negotiation
from graphql_schema.transports.decoding import BadRequest, check_size, decoded, malformed

MOST_FILES = 100
FORM = "multipart/form-data"
# A browser sends none of these to another origin without asking first; nor a bearer token.
PREFLIGHTED = (
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "x-graphql-event-stream-token",
)


class _Body(msgspec.Struct, rename="camel"):
    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None

    def request(self) -> OperationRequest:
        for name, value in (("variables", self.variables), ("extensions", self.extensions)):
            if value and is_too_deep(value):
                raise BadRequest(400, f"`{name}` is nested too deeply")
        if self.query is None and self.document_id is None and not self.extensions:
            raise BadRequest(400, "The body must hold a `query`: a GraphQL document")
        return OperationRequest(
            query=self.query,
            operation_name=self.operation_name or None,
            variables=self.variables or {},
            extensions=self.extensions or {},
            document_id=self.document_id,
        )


_decode_body = msgspec.json.Decoder(_Body | list[_Body]).decode
_decode_map = msgspec.json.Decoder(dict[str, list[str]]).decode
_decode_object = msgspec.json.Decoder(dict[str, Any] | None).decode


def convert_request(value: object) -> OperationRequest:
    """The one operation request in this decoded JSON. Raises `BadRequest`."""
    try:
        return msgspec.convert(value, _Body).request()
    except msgspec.ValidationError as error:
        raise malformed(error) from None


async def read_post(request: Request, settings: Settings) -> OperationRequest | list[OperationRequest]:
    """The operation of a POST, or those of a batch. Raises `BadRequest`."""
    content_type = negotiation.media_type(request.headers.get("content-type"))
    if content_type.media_type == negotiation.JSON:
        if content_type.parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            raise BadRequest(415, "The body must be JSON in UTF-8")
        content = await _body(request)
        await check_size(content, settings)
        found: _Body | list[_Body] = decoded(_decode_body, content)
    elif content_type.media_type == FORM:
        if not was_preflighted(request.headers):
            raise BadRequest(400, "Send the header `GraphQL-Require-Preflight: 1` with multipart requests")
        found = await _form_body(request, settings)
    else:
        accepted = {"Accept-Post": f"{negotiation.JSON}, {FORM}"}
        raise BadRequest(415, "Send the body as application/json or multipart/form-data", accepted)
    if not isinstance(found, list):
        return found.request()
    most = settings.graphql_max_batch
    if not 0 < len(found) <= most:
        raise BadRequest(400, f"A batch must hold 1 to {most} operations (CHAT_GRAPHQL_MAX_BATCH)")
    return [body.request() for body in found]


def read_get(request: Request) -> OperationRequest:
    """The operation in the query of a GET. Raises `BadRequest`."""
    if _is_cross_site(request.headers) and not was_preflighted(request.headers):
        raise BadRequest(403, "Pages of other sites must send `GraphQL-Require-Preflight: 1`, or use POST")
    query = request.query_params
    body = _Body(
        query=query.get("query"),
        operation_name=query.get("operationName"),
        variables=decoded(_decode_object, query.get("variables") or "null"),
        extensions=decoded(_decode_object, query.get("extensions") or "null"),
        document_id=query.get("documentId"),
    )
    return body.request()


def was_preflighted(headers: Headers) -> bool:
    """Whether a browser asked this server before it sent this to another origin, if it did."""
    # Not any `Authorization`: passwords that a browser has kept for a site, it sends by itself.
    is_bearer = bearer_token(headers.get("authorization")) is not None
    return is_bearer or any(name in headers for name in PREFLIGHTED)


def _is_cross_site(headers: Headers) -> bool:
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise BadRequest(400, "The request ended before its body did") from None


async def _form_body(request: Request, settings: Settings) -> _Body | list[_Body]:
    """The operations of a multipart request, with their files put where its map says."""
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=2, max_part_size=settings.max_body_bytes)
    except (MultiPartException, HTTPException):
        raise BadRequest(400, "The multipart body is malformed, or has too many parts") from None
    except ClientDisconnect:
        raise BadRequest(400, "The request ended before its body did") from None
    operations, files_map = form.get("operations"), form.get("map")
    if not isinstance(operations, str) or not isinstance(files_map, str):
        raise BadRequest(400, "A multipart request needs the fields `operations` and `map`, then its files")
    for text in (operations, files_map):
        await check_size(text.encode(), settings)
    found = decoded(msgspec.json.decode, operations)
    if is_too_deep(found):
        raise BadRequest(400, "`operations` is nested too deeply")
    _put_files(found, decoded(_decode_map, files_map), form)
    try:
        return msgspec.convert(found, _Body | list[_Body])
    except msgspec.ValidationError as error:
        raise malformed(error) from None


def _put_files(operations: Any, files_map: dict[str, list[str]], form: FormData) -> None:
    if sum(map(len, files_map.values())) > MOST_FILES:
        raise BadRequest(400, f"The `map` may name at most {MOST_FILES} places")
    for name, paths in files_map.items():
        file = form.get(name)
        if not isinstance(file, UploadFile):
            raise BadRequest(400, "The `map` names a file that the request does not hold")
        for path in paths:
            _put(operations, path.split("."), file)


def _put(operations: Any, path: list[str], file: UploadFile) -> None:
    """Put the file in place of the null at `path`, which is inside the variables of an operation."""
    target: Any = operations
    *parents, last = path
    is_free = "variables" in (parents[1:2] if isinstance(operations, list) else parents[:1])
    try:
        for name in parents:
            target = target[_key(target, name)]
        key = _key(target, last)
        is_free = is_free and target[key] is None
    except (KeyError, IndexError, ValueError, TypeError):
        is_free = False
    if not is_free:
        raise BadRequest(400, "The `map` must name places in the variables of `operations` that are null")
    target[key] = file


def _key(target: Any, name: str) -> Any:
    """What `name` is in a list or an object. Raises `ValueError`."""
    if not isinstance(target, list):
        return name
    if not (name.isascii() and name.isdigit()):  # Python would count -1 from the end
        raise ValueError(name)
    return int(name)
