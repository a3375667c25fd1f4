"""What scalars hold, checked where GraphQL itself does not."""

from typing import Any

from core.errors import InvalidInput


def json_object(field: str, value: object) -> dict[str, Any] | None:
    """A JSON scalar that must be an object. Raises `InvalidInput`."""
    if value is None or isinstance(value, dict):
        return value
    raise InvalidInput(field, f"{field} must be an object")
