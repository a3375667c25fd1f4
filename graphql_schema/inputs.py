"""Input fields that may be left out."""

from typing import TypeVar

from strawberry import UNSET

Value = TypeVar("Value")


def given(value: Value | None) -> Value | None:
    """The value of an optional input field; None if it is null or was left out."""
    return None if value is UNSET else value
