"""Base64 is read in pieces: as if it was read at once."""

import base64
import binascii
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidAttachment
from core.resolvers import uploads

PIECE = 16
ALPHABET = st.text(alphabet="AB+/= \n!é", max_size=5 * PIECE)


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "PIECE_CHARACTERS", PIECE)
        yield


@given(st.binary(max_size=5 * PIECE), st.integers(1, 9))
def test_broken_lines_change_nothing(content: bytes, line: int) -> None:
    text = base64.b64encode(content).decode()
    lines = "\r\n".join(text[start : start + line] for start in range(0, len(text), line))
    assert uploads._from_base64(lines) == content  # noqa: SLF001 - its pieces are its own affair


@given(ALPHABET)
def test_what_is_no_base64_is_refused(text: str) -> None:
    bare = "".join(text.split())
    try:
        expected = base64.b64decode(bare, validate=True) if len(bare) % 4 == 0 else None
    except (binascii.Error, ValueError):
        expected = None
    try:
        found = uploads._from_base64(text)  # noqa: SLF001
    except InvalidAttachment:
        found = None
    assert found == expected
