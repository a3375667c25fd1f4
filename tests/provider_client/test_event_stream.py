"""The parser of event streams against the rules of the HTML standard, read off line by line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.provider.event_stream import BOM, EventStreamParser

TOKENS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r"),
    *(b"data", b"data:", b"data: ", b"data:  ", b" data: x", b"Data: x", b"datas: x"),
    *(b":", b": comment", b"event: done", b"id: 1", b"retry: 10", b"nonsense"),
    *(b'{"a":1}', b"x", b" ", b"\x00", b"\x0b", b"\x85", BOM, "жэ".encode(), "\u2028".encode()),
]
bodies = st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join)


def parse(*pieces: bytes) -> list[bytes]:
    parser = EventStreamParser()
    payloads = [payload for piece in pieces for payload in parser.feed(piece)]
    last = parser.close()
    return payloads if last is None else [*payloads, last]


def by_the_standard(body: bytes) -> list[bytes]:
    """Its algorithm for a whole body, but that an event without its closing blank line counts."""
    payloads, data = [], list[bytes]()
    for line in [*re.split(rb"\r\n|\n|\r", body.removeprefix(BOM)), b""]:
        name, _, value = line.partition(b":")
        if not line and data:
            payloads.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return payloads


@given(body=bodies, data=st.data())
def test_a_body_cut_anywhere_gives_what_the_standard_says(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    assert parse(*pieces) == by_the_standard(body)


@given(body=bodies)
def test_a_body_byte_by_byte_gives_what_the_whole_one_gives(body: bytes) -> None:
    assert parse(*(bytes([byte]) for byte in body)) == parse(body) == by_the_standard(body)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_may_end_in_any_of_three_ways(end: bytes) -> None:
    body = end.join([b"data: one", b"", b"data: two", b"", b""])

    assert parse(body) == [b"one", b"two"]


def test_a_crlf_cut_in_the_middle_is_one_line_end() -> None:
    assert parse(b"data: one\r", b"\ndata: two\r", b"\n\r", b"\n") == [b"one\ntwo"]


def test_an_event_is_given_with_the_piece_that_completes_it() -> None:
    parser = EventStreamParser()

    assert parser.feed(b"data: one\n") == []
    assert parser.feed(b"\ndata: two") == [b"one"]
    assert parser.feed(b"\n\n") == [b"two"]
    assert parser.close() is None


def test_an_event_whose_lines_end_in_cr_does_not_wait_for_a_possible_lf() -> None:
    parser = EventStreamParser()

    assert parser.feed(b"data: one\r\r") == [b"one"]
    assert parser.feed(b"\ndata: two\r\r") == [b"two"]


def test_several_data_lines_are_joined_by_lf() -> None:
    assert parse(b"data: {\r\ndata:  1\r\ndata\r\ndata:}\r\n\r\n") == [b"{\n 1\n\n}"]


def test_one_space_behind_the_colon_is_dropped_and_no_other() -> None:
    assert parse(b"data:a\n\ndata: b\n\ndata:  c \n\n") == [b"a", b"b", b" c "]


def test_comments_and_other_fields_are_skipped() -> None:
    body = b": ping\n\nevent: message\nid: 7\nretry: 1\ndata: one\nunknown: x\n:data: two\n\nevent: empty\n\n"

    assert parse(body) == [b"one"]


def test_field_names_are_taken_as_they_are_spelt() -> None:
    assert parse(b"Data: a\n data: b\ndata : c\ndata: d\n\n") == [b"d"]


def test_a_byte_order_mark_is_skipped_at_the_start_only() -> None:
    assert parse(BOM + b"data: one\n\n" + BOM + b"data: two\n\n") == [b"one"]
    assert parse(BOM[:1], BOM[1:], b"data: one", b"\n\n") == [b"one"]
    assert parse(b"data: one\n\n", BOM + b"data: two") == [b"one"]


def test_only_the_three_line_ends_end_a_line() -> None:
    text = "a\x0bb\x0c\x1c\x85\u2028\u2029z".encode()

    assert parse(b"data: " + text + b"\n\n") == [text]


def test_a_character_cut_in_two_comes_out_whole() -> None:
    assert parse(b"data: \xd0", b"\xb6\n\n") == ["ж".encode()]


def test_the_last_event_counts_without_its_closing_blank_line() -> None:
    assert parse(b"data: one\n\ndata: two\n") == [b"one", b"two"]
    assert parse(b"data: one\n\ndata: two") == [b"one", b"two"]
    assert parse(b"data: one\n\ndat") == [b"one"]
