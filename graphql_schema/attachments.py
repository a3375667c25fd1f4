"""Files of messages in GraphQL: what is known of them; their bytes are behind their URLs."""

from datetime import datetime
from typing import Self

import strawberry
from starlette.datastructures import UploadFile
from strawberry import UNSET

from core.context import Context
from core.db import records
from core.files.links import download_url
from core.resolvers.uploads import NewAttachment
from graphql_schema.inputs import given
from graphql_schema.nodes import Node
from graphql_schema.scalars import Upload


@strawberry.type(description="A file of a message.")
class Attachment(Node):
    filename: str = strawberry.field(description="The name that its sender gave it.")
    content_type: str = strawberry.field(description="Its media type, as its sender gave it.")
    size_bytes: int | None = strawberry.field(description="Its size in bytes, if known.")
    download_url: str | None = strawberry.field(
        description="Where the bytes are; send the access token there, too."
    )
    created_at: datetime = strawberry.field(description="When it arrived.")

    @classmethod
    def of(cls, ctx: Context, attachment: records.Attachment) -> Self:
        """The attachment as clients see it."""
        return cls(
            id=strawberry.ID(str(attachment.id)),
            filename=attachment.filename,
            content_type=attachment.content_type,
            size_bytes=attachment.size_bytes,
            download_url=download_url(ctx.settings.api_prefix, attachment),
            created_at=attachment.created_at,
        )


@strawberry.input(
    description="A file to be sent with a message: `dataBase64`, or `file` in a multipart request."
)
class AttachmentInput:
    filename: str | None = strawberry.field(
        default=UNSET, description="A name of 1 to 255 characters; that of `file` if left out."
    )
    content_type: str | None = strawberry.field(
        default=UNSET, description="A media type; that of `file`, or application/octet-stream, if left out."
    )
    data_base64: str | None = strawberry.field(default=UNSET, description="The bytes in Base64.")
    file: Upload | None = strawberry.field(default=UNSET, description="The bytes as a part of the request.")


async def new_attachment(item: AttachmentInput) -> NewAttachment:
    """The file as the resolver takes it; of `file` and `dataBase64`, exactly one has to be there."""
    upload: UploadFile | None = given(item.file)
    content: str | bytes | None = given(item.data_base64)
    if upload is not None:
        await upload.seek(0)  # it may stand in several places of one request
        content = await upload.read() if content is None else None
    return NewAttachment(
        filename=given(item.filename) or (upload.filename if upload else None) or "",
        content=content,
        content_type=given(item.content_type)
        or (upload.content_type if upload else None)
        or "application/octet-stream",
    )
