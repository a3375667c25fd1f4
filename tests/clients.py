"""A client of the REST API, as a careful user would write it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx

DONE = "[DONE]"


class Client(httpx.Client):
    """An httpx client with the few verbs that most tests start with."""

    def __init__(self, url: str, token: str | None = None) -> None:
        super().__init__(base_url=url, timeout=30)
        if token is not None:
            self.use(token)

    def __enter__(self) -> Self:
        """Close at the end; unlike httpx's own, also after the client was used."""
        return self

    def use(self, token: str) -> Self:
        """Send this access token from now on."""
        self.headers["Authorization"] = f"Bearer {token}"
        return self

    def sign_in(self, username: str, password: str) -> Self:
        """Log in and use the access token."""
        return self.use(self.log_in(username, password)["access_token"])

    def log_in(self, username: str, password: str) -> dict[str, Any]:
        """The pair of tokens."""
        response = self.post("/api/auth/login", json={"username": username, "password": password})
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def new_thread(self, **body: Any) -> dict[str, Any]:
        """A fresh thread."""
        response = self.post("/api/threads", json=body)
        assert response.status_code == 201, response.text
        thread: dict[str, Any] = response.json()
        return thread

    def send_message(self, thread_id: str, text: str = "Hi", **body: Any) -> httpx.Response:
        """The answer of POST …/messages."""
        return self.post(f"/api/threads/{thread_id}/messages", json={"text": text, **body})

    def messages(self, thread_id: str, **query: Any) -> list[dict[str, Any]]:
        """A page of the messages of a thread, newest first."""
        response = self.get(f"/api/threads/{thread_id}/messages", params=query)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    @contextmanager
    def streaming(
        self, thread_id: str, text: str = "Hi", *, headers: dict[str, str] | None = None, **body: Any
    ) -> Iterator[httpx.Response]:
        """An open POST …/messages/stream; leaving the block hangs up."""
        url = f"/api/threads/{thread_id}/messages/stream"
        with self.stream("POST", url, json={"text": text, **body}, headers=headers) as response:
            yield response

    def stream_text(self, thread_id: str, text: str = "Hi", **body: Any) -> str:
        """The whole body of POST …/messages/stream."""
        with self.streaming(thread_id, text, **body) as response:
            assert response.status_code == 200, response.read()
            return response.read().decode()


def payloads(body: str) -> list[str]:
    """The payload of each `data:` frame of a body that must hold nothing else."""
    *frames, rest = body.split("\n\n")
    assert rest == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames), frames
    return [frame.removeprefix("data: ") for frame in frames]


def chunks(body: str) -> list[dict[str, Any]]:
    """The JSON frames of a body that must end with `[DONE]`."""
    *texts, last = payloads(body)
    assert last == DONE
    return [json.loads(text) for text in texts]
