"""Pages of the documentation that are written from the code."""

from pathlib import Path

from pydantic.fields import FieldInfo

from core.settings import Settings

_INTRODUCTION = """\
# Settings

Every setting is an environment variable; values may also stand in a file `.env` in the working directory,
where the environment wins. A wrong value stops the start with a sentence that names its variable.

<!-- Written by `gwp-chat export-schema` from core/settings.py. -->

| Variable | Default | Meaning |
| --- | --- | --- |
"""


def settings_page() -> str:
    """The table of all settings, as Markdown."""
    rows = [
        f"| `CHAT_{name.upper()}` | {_default(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return _INTRODUCTION + "".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == "":
        return "(empty)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`./{value}`" if isinstance(value, Path) else f"`{value}`"
