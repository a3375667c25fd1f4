"""What no answer may hold, whatever was asked."""

import re

# Words of Python, its libraries and its databases: signs that the text of an exception got out.
_INNER_WORDS = re.compile(
    r"Traceback|NoneType|has no attribute|not subscriptable|not iterable|unexpected keyword|<class '"
    r"|\b[A-Z]\w+Error\b|Exceeds the limit|too large to convert|invalid literal|badly formed|isoformat"
    r"|index out of range|is out of range|codec can't|surrogates not allowed|recursion"
    r"|sqlalchemy|sqlite|psycopg|pydantic|msgspec|strawberry"
)


def assert_told_well(text: str) -> None:
    """The text of an error is meant for callers."""
    found = _INNER_WORDS.search(text)
    assert found is None, f"an error speaks of {found[0]!r}"


def assert_private(answer: bytes, marker: str) -> None:
    """An answer holds nothing of the user whose data is marked so."""
    assert marker.encode() not in answer, f"another user's data: {answer!r}"
