"""Routes of `/attachments`."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from core.exports.disposition import content_disposition
from core.resolvers import attachments
from rest_compat.bodies import problems
from rest_compat.dependencies import SignedIn, SignedInRoute

router = APIRouter(
    route_class=SignedInRoute, prefix="/attachments", tags=["attachments"], responses=problems(401, 403, 404)
)

# Types that no browser runs. Everything else is sent as bytes of no type.
INERT_TYPES = frozenset(
    {
        "application/json",
        "application/msword",
        "application/pdf",
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/zip",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/avif",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/csv",
        "text/markdown",
        "text/plain",
        "video/mp4",
        "video/webm",
    }
)


@router.get(
    "/{name}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The bytes as a download; of a type that browsers run, as bytes of no type",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def download(ctx: SignedIn, name: str) -> StreamingResponse:
    """The bytes of a file of the caller's conversations."""
    found = await attachments.open_attachment(ctx, name)
    content_type = found.attachment.content_type.lower()
    headers = {
        "Content-Disposition": content_disposition(found.attachment.filename),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=3600",
    }
    if found.attachment.size_bytes is not None:
        headers["Content-Length"] = str(found.attachment.size_bytes)
    return StreamingResponse(
        found.pieces,
        media_type=content_type if content_type in INERT_TYPES else "application/octet-stream",
        headers=headers,
    )
