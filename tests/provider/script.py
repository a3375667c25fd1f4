"""What the scripted provider is told to answer: steps, scripts, and short ways to write them.

A `Script` is one answer to one request. Both sides share this module: a test builds scripts, the process
plays them. Nothing here does any input or output.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Literal, Self

Json = dict[str, Any]
Headers = tuple[tuple[str, str], ...]
Framing = Literal["chunked", "length", "close", "raw"]


@dataclass(frozen=True, slots=True)
class Send:
    """These bytes go out in one write, and as one chunk where the body is chunked."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nothing goes out for so many seconds. Prefer `WaitFor`: it takes no longer than the test needs."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Nothing goes out until the test opens the gate; a gate that is open already holds nobody."""

    gate: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is aborted with a TCP reset. Only as the last step."""


@dataclass(frozen=True, slots=True)
class CloseCleanly:
    """The connection is closed in order (FIN), by default after ending the body. Only as the last step."""

    end_body: bool = True


Step = Send | Sleep | WaitFor | Cut | CloseCleanly


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: status and headers, then the steps in order.

    `framing` says how the peer learns where the body ends: `chunked`, `length` (a Content-Length counted from
    the steps), `close` (the end of the connection), or `raw`, where nothing is added to the steps at all, so
    that they have to spell the status line and the headers too. A framing header among `headers` replaces the
    one that would have been added. `before_headers` names a gate that holds the status line back.
    """

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: Headers = ()
    framing: Framing = "chunked"
    before_headers: str | None = None

    def __post_init__(self) -> None:
        if any(isinstance(step, Cut | CloseCleanly) for step in self.steps[:-1]):
            raise ValueError("Cut and CloseCleanly end a script; no step can follow them")

    @property
    def body(self) -> bytes:
        """Every byte that the steps send, without chunk framing."""
        return b"".join(step.data for step in self.steps if isinstance(step, Send))

    @property
    def head(self) -> bytes:
        """Status line and headers as they go out."""
        given = {name.lower() for name, _ in self.headers}
        match self.framing:
            case "raw":
                return b""
            case "chunked":
                framing = ("Transfer-Encoding", "chunked")
            case "length":
                framing = ("Content-Length", str(len(self.body)))
            case "close":
                framing = ("Connection", "close")
        added = () if framing[0].lower() in given else (framing,)
        reason = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Scripted"
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *added)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def framed(self, data: bytes) -> bytes:
        """One write of the body as it goes out; an empty chunk would end the body, so there is none."""
        return b"%x\r\n%b\r\n" % (len(data), data) if data and self.framing == "chunked" else data

    def then(self, *steps: Step) -> Self:
        """The same answer with more steps at its end."""
        return replace(self, steps=(*self.steps, *steps))

    def held(self, gate: str) -> Self:
        """The same answer, with not even a status line before the gate opens."""
        return replace(self, before_headers=gate)

    def in_pieces(self, size: int) -> Self:
        """The same bytes in writes of at most `size`, so that frames and characters fall apart."""
        steps: list[Step] = []
        for step in self.steps:
            if isinstance(step, Send):
                cuts = range(0, len(step.data), size)
                steps.extend(Send(step.data[start : start + size]) for start in cuts)
            else:
                steps.append(step)
        return replace(self, steps=tuple(steps))


def step_to_wire(step: Step) -> list[Any]:
    match step:
        case Send(data):
            return ["send", base64.b64encode(data).decode("ascii")]
        case Sleep(seconds):
            return ["sleep", seconds]
        case WaitFor(gate):
            return ["wait_for", gate]
        case Cut():
            return ["cut", None]
        case CloseCleanly(end_body):
            return ["close", end_body]


def step_from_wire(wire: Sequence[Any]) -> Step:
    match wire:
        case ["send", str(data)]:
            return Send(base64.b64decode(data))
        case ["sleep", int() | float() as seconds]:
            return Sleep(seconds)
        case ["wait_for", str(gate)]:
            return WaitFor(gate)
        case ["cut", None]:
            return Cut()
        case ["close", bool(end_body)]:
            return CloseCleanly(end_body)
    raise ValueError(f"not a step: {wire!r}")


def script_to_wire(script: Script) -> Json:
    """The script as plain JSON; `script_from_wire` gives an equal one back."""
    return {
        "steps": [step_to_wire(step) for step in script.steps],
        "status": script.status,
        "headers": [list(pair) for pair in script.headers],
        "framing": script.framing,
        "before_headers": script.before_headers,
    }


def script_from_wire(wire: Json) -> Script:
    return Script(
        steps=tuple(step_from_wire(step) for step in wire["steps"]),
        status=wire["status"],
        headers=tuple((name, value) for name, value in wire["headers"]),
        framing=wire["framing"],
        before_headers=wire["before_headers"],
    )


EVENT_STREAM: Headers = (("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-cache"))


def dumps(value: Any) -> str:
    """Compact JSON with other scripts left as they are, the way providers send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(*parts: str | Step, done: bool = True, status: int = 200) -> Script:
    """An event stream: each text is one `data:` frame in one write; steps may stand in between."""
    texts = (*parts, "[DONE]") if done else parts
    steps = tuple(Send(f"data: {part}\n\n".encode()) if isinstance(part, str) else part for part in texts)
    return Script(steps=steps, status=status, headers=EVENT_STREAM)


def chunk(
    text: str | None = None, *, model: str = "scripted", finish_reason: str | None = None, **extra: Any
) -> str:
    """One chat.completion.chunk as JSON text, for `sse`; `extra` adds or replaces its top-level fields."""
    delta = {} if text is None else {"role": "assistant", "content": text}
    fields = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }
    return dumps(fields | extra)


def usage_counts(prompt: int, completion: int) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def text_stream(
    *texts: str | Step,
    model: str = "scripted",
    usage: tuple[int, int] | None = None,
    agent_status: str | None = None,
    **extra: Any,
) -> Script:
    """The stream that OpenAI sends for these texts: a chunk each, a closing chunk, usage if given, `[DONE]`.

    Steps may stand between the texts. `usage` is (prompt tokens, completion tokens) and comes in a chunk of
    its own without choices; `agent_status` comes with the closing chunk; `extra` fields are in every chunk.
    """
    parts: list[str | Step] = [
        chunk(text, model=model, **extra) if isinstance(text, str) else text for text in texts
    ]
    closing = extra if agent_status is None else extra | {"agent_status": agent_status}
    parts.append(chunk(model=model, finish_reason="stop", **closing))
    if usage is not None:
        parts.append(chunk(model=model, **(extra | {"choices": [], "usage": usage_counts(*usage)})))
    return sse(*parts)


def json_body(value: Any, status: int = 200) -> Script:
    """A JSON answer with its Content-Length: an error, or a whole completion."""
    return Script(
        steps=(Send(dumps(value).encode()),),
        status=status,
        headers=(("Content-Type", "application/json"),),
        framing="length",
    )


def completion(
    text: str, *, model: str = "scripted", usage: tuple[int, int] = (1, 1), **extra: Any
) -> Script:
    """A whole chat.completion in one JSON body; `extra` adds or replaces its top-level fields."""
    message = {"role": "assistant", "content": text}
    fields = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage_counts(*usage),
    }
    return json_body(fields | extra)


def plain_error(text: str, status: int) -> Script:
    """An error whose body is plain text, such as a proxy in front of a provider gives."""
    headers = (("Content-Type", "text/plain; charset=utf-8"),)
    return Script(steps=(Send(text.encode()),), status=status, headers=headers, framing="length")


def models(entries: Iterable[str | Json]) -> Script:
    """The answer to GET /v1/models: an id for a plain entry, or the entry's own object as it is."""
    data = [
        {"id": entry, "object": "model", "owned_by": "scripted"} if isinstance(entry, str) else entry
        for entry in entries
    ]
    return json_body({"object": "list", "data": data})


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def echo(request: Json) -> Script:
    """The answer nobody scripted: the last user message back in three chunks, with usage counted in words."""
    listed = request.get("messages")
    messages = [m for m in listed if isinstance(m, Mapping)] if isinstance(listed, list) else []
    said = [_text_of(message.get("content")) for message in messages]
    asked = [text for text, message in zip(said, messages, strict=True) if message.get("role") == "user"]
    text = asked[-1] if asked else ""
    model, usage = str(request.get("model")), (len(" ".join(said).split()), len(text.split()))
    if not request.get("stream"):
        return completion(text, model=model, usage=usage)
    third = -(-len(text) // 3)
    pieces = (text[:third], text[third : 2 * third], text[2 * third :])
    return text_stream(*pieces, model=model, usage=usage)
