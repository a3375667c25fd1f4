"""What bodies look like, for the description of the API."""

from typing import Any

from pydantic import ConfigDict

_THREAD_ID = "01937b6e-4a8c-7c3e-9f60-2d1f0c7a5b11"
_OWNER_ID = "01937b6e-1f02-7d5a-8a4b-6b0d5e2c9a01"
_QUESTION_ID = "01937b6e-5b11-7e21-b0c4-93d7f1a2c845"
_ANSWER_ID = "01937b6e-6c40-7a09-8d15-0f4be6c8d773"
_RUN_ID = "01937b6e-5b12-7b44-a3e9-51c0d8f7e6a2"
_TIME = "2026-11-23T09:30:00.123456+00:00"


def shown_as(**example: Any) -> ConfigDict:
    """The configuration of a body with this example."""
    return ConfigDict(json_schema_extra={"examples": [example]})


USER = shown_as(
    id=_OWNER_ID,
    username="ada",
    email="ada@example.org",
    full_name="Ada Lovelace",
    roles=["admin"],
    allowed_products=[],
    allowed_agents=[],
    is_active=True,
    token_version=0,
    created_at=_TIME,
    updated_at=_TIME,
    last_login_at=None,
)
TOKENS = shown_as(
    access_token="eyJhbGciOiJIUzI1NiIs…",
    refresh_token="eyJhbGciOiJIUzI1NiIs…",
    token_type="bearer",
    expires_in=900,
    refresh_expires_in=604800,
)
REGISTER = shown_as(username="ada", password="correct horse battery", email="ada@example.org")
LOGIN = shown_as(username="ada", password="correct horse battery")
REFRESH = shown_as(refresh_token="eyJhbGciOiJIUzI1NiIs…")

_THREAD_FIELDS: dict[str, Any] = {
    "id": _THREAD_ID,
    "owner_id": _OWNER_ID,
    "title": "gpt-4o-mini: What is the capital of France?",
    "summary": None,
    "metadata": {"model": "gpt-4o-mini", "model_label": None, "provider": "openai-compatible"},
    "is_deleted": False,
    "created_at": _TIME,
    "updated_at": _TIME,
    "deleted_at": None,
}
_MESSAGE_FIELDS: dict[str, Any] = {
    "id": _QUESTION_ID,
    "thread_id": _THREAD_ID,
    "sender_id": _OWNER_ID,
    "sender_type": "user",
    "status": "ready",
    "text": "What is the capital of France?",
    "metadata": {},
    "tokens_count": 12,
    "error_code": None,
    "correlation_id": "resp-1",
    "created_at": _TIME,
    "updated_at": _TIME,
    "attachments": [],
}
THREAD = shown_as(**_THREAD_FIELDS)
THREAD_DETAIL = shown_as(**_THREAD_FIELDS, last_messages=[_MESSAGE_FIELDS])
NEW_THREAD = shown_as(title="Trip to Rome", metadata={"product_id": "travel"})
THREAD_CHANGE = shown_as(title="Trip to Rome and Naples")
MESSAGE = shown_as(**_MESSAGE_FIELDS)
NEW_MESSAGE = shown_as(text="What is the capital of France?", model="gpt-4o-mini")
MESSAGE_CHANGE = shown_as(status="ready", text="What is the capital of Italy?")
RUN = shown_as(
    id=_RUN_ID,
    thread_id=_THREAD_ID,
    user_message_id=_QUESTION_ID,
    assistant_message_id=_ANSWER_ID,
    status="completed",
    model="gpt-4o-mini",
    model_label=None,
    error_code=None,
    error=None,
    prompt_tokens=12,
    completion_tokens=5,
    created_at=_TIME,
    started_at=_TIME,
    first_token_at=_TIME,
    finished_at=_TIME,
)
MODELS = shown_as(
    models=["gpt-4o-mini", "travel-agent"],
    cards=[{"id": "gpt-4o-mini", "name": None}, {"id": "travel-agent", "name": "Travel agent"}],
)
PROVIDER_THREAD = shown_as(
    id="01937b6e-7d55-7f10-9b2a-c8e4a6d3b190",
    thread_id=_THREAD_ID,
    provider="openai-compatible",
    conversation_id="conv-123",
    payload={"model": "gpt-4o-mini", "model_label": None},
    created_at=_TIME,
    updated_at=_TIME,
)
PROVIDER_THREAD_CHANGE = shown_as(conversation_id="conv-123", payload={"step": 2})
SEARCH = shown_as(phrase="hotels near the Colosseum", limit=10)
SEARCH_RESULT = shown_as(
    items=[{"thread": _THREAD_FIELDS, "similarity": 0.87}],
    pagination={"total": 1, "page": 1, "limit": 10, "has_more": False},
    best_similarity=0.87,
    similarity_threshold=0.81,
    best_distance=0.13,
    distance_threshold=0.19,
    min_similarity=0.3,
)
