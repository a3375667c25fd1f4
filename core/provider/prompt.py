"""What is said to the provider: the history of a thread as chat-completions messages."""

import base64
from dataclasses import dataclass, field
from typing import Any, Literal

AttachmentFormat = Literal["input", "openai"]


@dataclass(frozen=True, slots=True)
class PromptFile:
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PromptMessage:
    role: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    files: tuple[PromptFile, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to the provider; `messages` is the whole history, oldest first."""

    model: str
    messages: tuple[PromptMessage, ...]
    user: str
    conversation_id: str | None = None


def request_body(
    request: ChatRequest, *, system_prompt: str, attachment_format: AttachmentFormat, include_usage: bool
) -> dict[str, Any]:
    """The JSON body of `POST /chat/completions`."""
    messages = [_message(message, attachment_format) for message in request.messages]
    if system_prompt:
        messages.insert(0, {"role": "system", "content": system_prompt})
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages,
        "stream": True,
        "user": request.user,
    }
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    if request.conversation_id:
        body["conversation_id"] = request.conversation_id
    return body


def _message(message: PromptMessage, attachment_format: AttachmentFormat) -> dict[str, Any]:
    content: str | list[dict[str, Any]] = message.text
    if message.files:
        part = _openai_part if attachment_format == "openai" else _input_part
        content = [{"type": "text", "text": message.text}, *(part(file) for file in message.files)]
    body: dict[str, Any] = {"role": message.role, "content": content}
    if message.metadata:
        body["metadata"] = message.metadata
    return body


def _input_part(file: PromptFile) -> dict[str, Any]:
    data = base64.b64encode(file.content).decode("ascii")
    if file.content_type.startswith("image/"):
        return {"type": "input_image", "image_base64": data, "media_type": file.content_type}
    return {"type": "input_file", "data": data, "media_type": file.content_type, "filename": file.filename}


def _openai_part(file: PromptFile) -> dict[str, Any]:
    url = f"data:{file.content_type};base64,{base64.b64encode(file.content).decode('ascii')}"
    if file.content_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": file.filename, "file_data": url}}
