"""Chunks: any JSON is read without an error, and the fast way reads what the thorough one does."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.provider.chunks import MOST_TOKENS, Chunk, chunk_of, content_text, decode_chunk, error_message

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)

NO_ERRORS: list[Any] = [None, "", False, 0, {}, []]
NO_SENTENCES: list[Any] = ["  ", {}, [], None, 7, {"error": 7}, {"detail": []}]


def often(*usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what providers send, and anything else in between."""
    return st.one_of(*usual, *usual, st.none(), anything)


def an_object(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


parts = st.lists(often(an_object(type=st.just("output_text"), text=often(st.text()))), max_size=3)
message = an_object(role=often(st.just("assistant")), content=often(st.text(), parts))
choice = an_object(index=often(st.just(0)), delta=often(message), message=often(message))
choices = often(st.lists(choice, max_size=1), st.lists(often(choice), max_size=3))
statuses = st.sampled_from(["", "streaming", "completed", "interrupted", "INTERRUPTED", "Interrupted"])
files = st.lists(often(an_object(filename=st.text(), data=st.text())), max_size=2)
plain_choices = st.lists(an_object(delta=an_object(content=st.text())), max_size=3)
plain_bodies = st.fixed_dictionaries(
    {"choices": plain_choices}, optional={"id": st.text(), "error": st.none()}
)
bodies = an_object(
    id=often(st.text()),
    object=often(st.just("chat.completion.chunk")),
    agent_status=often(statuses),
    conversation_id=often(st.text()),
    choices=choices,
    usage=often(an_object(prompt_tokens=often(st.integers()), completion_tokens=often(st.integers(0, 9)))),
    error=often(st.text(), an_object(message=often(st.text()))),
    message_metadata=often(
        an_object(attachments=often(files), interrupt_id=often(st.text()), interrupt_payload=anything)
    ),
    interrupt_id=often(st.text()),
    interrupt_payload=often(an_object(question=st.text(), content=st.text())),
    unknown=anything,
)


def read(**fields: Any) -> Chunk:
    chunk = decode_chunk(json.dumps(fields).encode())
    assert chunk is not None
    return chunk


@given(
    body=plain_bodies | bodies,
    ascii_only=st.booleans(),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_both_ways_of_reading_a_chunk_agree(
    body: dict[str, Any], *, ascii_only: bool, separators: tuple[str, str]
) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only, separators=separators).encode()

    assert decode_chunk(raw) == chunk_of(body, raw)


@given(value=anything)
def test_any_json_is_a_chunk_if_it_is_an_object_and_skipped_if_not(value: Any) -> None:
    chunk = decode_chunk(json.dumps(value).encode())

    assert (chunk is not None) == isinstance(value, dict)


@given(raw=st.binary(max_size=40))
def test_any_bytes_are_read_without_an_error(raw: bytes) -> None:
    decode_chunk(raw)


@given(body=bodies, data=st.data())
def test_a_chunk_with_a_damaged_byte_is_read_without_an_error(
    body: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(json.dumps(body, ensure_ascii=False).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    chunk = decode_chunk(bytes(raw))

    if chunk is not None:
        chunk.raw.decode()


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"null", b"[]", b'"text"', b"7", b"{", b'{"choices":[]', b"{} {}", b"[DONE]"),
        *(b'{"id":"\xff"}', b'{"choices":[],"unread":"\xff"}', b'{"choices":[],"unread":"\xed\xa0\x80"}'),
        *(b'{"id":"\x01"}', b'{"choices":[],"n":NaN}', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00"),
        *(b"[" * 200_000, b'{"choices":' * 200_000, b'{"error":' * 200_000 + b"1" + b"}" * 200_000),
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_what_is_no_json_object_is_skipped(raw: bytes) -> None:
    assert decode_chunk(raw) is None


@pytest.mark.parametrize("rest", [{}, {"usage": {"prompt_tokens": 1}}], ids=["fast", "thorough"])
def test_what_a_chunk_usually_says_is_found(rest: dict[str, Any]) -> None:
    delta = {"role": "assistant", "content": "Hi\n"}

    chunk = read(
        id="r-1", agent_status="streaming", conversation_id="c-1", choices=[{"delta": delta}], **rest
    )

    assert (chunk.text, chunk.whole_text, chunk.response_id) == ("Hi\n", None, "r-1")
    assert (chunk.agent_status, chunk.conversation_id, chunk.error) == ("streaming", "c-1", None)


def test_the_bytes_stay_as_they_came_but_on_one_line() -> None:
    raw = b'{ "choices" : [ ] ,\r\n\t"unknown":1.50e1,\n"text":"\\u00e9\\n" }'
    chunk = decode_chunk(raw)

    assert chunk is not None
    assert chunk.raw == b'{ "choices" : [ ] ,  \t"unknown":1.50e1, "text":"\\u00e9\\n" }'


@pytest.mark.parametrize("rest", [[], [7]], ids=["fast", "thorough"])
def test_several_choices_add_their_texts(rest: list[Any]) -> None:
    chunk = read(choices=[{"delta": {"content": "a"}}, {"delta": {}}, {"delta": {"content": "b"}}, *rest])

    assert chunk.text == "ab"


def test_a_whole_message_is_told_from_a_delta() -> None:
    chunk = read(choices=[{"message": {"content": [{"type": "output_text", "text": "all"}]}}])

    assert (chunk.text, chunk.whole_text) == ("", "all")


@pytest.mark.parametrize("escape", ["\\ud83d", "\\ude00", "\\uD83D", "\\ude00\\ud83d"])
@pytest.mark.parametrize("rest", ["", ',"usage":{"prompt_tokens":1}'], ids=["fast", "thorough"])
def test_half_of_a_surrogate_pair_costs_no_more_than_itself(escape: str, rest: str) -> None:
    raw = f'{{"choices":[{{"delta":{{"content":"a{escape}b \\\\ud83d \\ud83d\\ude00"}}}}]{rest}}}'.encode()
    chunk = decode_chunk(raw)

    assert chunk is not None
    assert chunk.raw == raw
    lost = "\N{REPLACEMENT CHARACTER}" * escape.count("\\")
    assert chunk.text == f"a{lost}b \\ud83d \N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("count", "taken"),
    [
        *((0, 0), (7, 7), (MOST_TOKENS, MOST_TOKENS), (MOST_TOKENS + 1, None), (10**30, None)),
        *((-1, None), (True, None), ("7", None), (7.0, None), (None, None), ([7], None)),
    ],
)
def test_tokens_are_counts_or_nothing(count: Any, taken: int | None) -> None:
    chunk = read(choices=[], usage={"prompt_tokens": count, "completion_tokens": count})

    assert (chunk.prompt_tokens, chunk.completion_tokens) == (taken, taken)
    assert type(chunk.prompt_tokens) is type(taken)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"error": {"message": " out of credit ", "code": 7}}, "out of credit"),
        ({"error": "out of credit"}, "out of credit"),
        ({"error": {"detail": "out of credit"}}, "out of credit"),
        ({"error": {"code": 7}}, "LLM provider error"),
        ({"error": True}, "LLM provider error"),
        *(({"error": nothing}, None) for nothing in NO_ERRORS),
    ],
)
def test_an_error_in_a_chunk_has_a_sentence(fields: dict[str, Any], error: str | None) -> None:
    assert read(choices=[], **fields).error == error


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"error": {"message": "no", "type": "x"}}, "no"),
        ({"detail": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": [{"loc": ["body"], "msg": "no"}, {"msg": "never"}]}, "no"),
        ({"error": {"message": ""}, "detail": "no"}, "no"),
        ("  no\n", "no"),
        *((nothing, None) for nothing in NO_SENTENCES),
    ],
)
def test_error_bodies_of_every_shape_have_their_sentence_found(body: Any, sentence: str | None) -> None:
    assert error_message(body) == sentence


def test_an_interrupt_is_found_beside_the_choices_and_in_the_metadata() -> None:
    payload = {"question": "Which?"}
    outside = read(choices=[], agent_status="interrupted", interrupt_id="i-1", interrupt_payload=payload)
    inside = read(choices=[], message_metadata={"interrupt_id": "i-1", "interrupt_payload": payload})

    for chunk in (outside, inside):
        assert (chunk.interrupt_id, chunk.interrupt_payload) == ("i-1", payload)


def test_an_interrupt_without_a_payload_keeps_its_id() -> None:
    assert read(choices=[], agent_status="INTERRUPTED", interrupt_id="i-1").interrupt_id == "i-1"


@given(content=anything)
def test_content_of_any_kind_has_a_text(content: Any) -> None:
    assert isinstance(content_text(content), str)


def test_the_texts_of_content_parts_are_joined() -> None:
    content = [{"type": "output_text", "text": "a"}, {"type": "image"}, "b", {"text": 7}, {"text": "c"}]

    assert content_text(content) == "ac"
