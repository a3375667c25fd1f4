"""A server whose answers are scripted, and what a browser must not have met there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import unique
from tests.provider.client import Namespace, ProviderProcess
from tests.provider.script import Script, Step, json_body, text_stream
from tests.servers import PASSWORD, ServerProcess

MARKUP = """# A heading

Some *words*, `code`, [a link](https://example.org) and $a^2 + b^2$.

| Name | Size |
| --- | --- |
| one | 1 |

```python
def answer() -> int:
    return 42
```

$$\\int_0^1 x\\,dx$$

1. first
2. second

   of two

The end"""


class Lab:
    """A server of its own with one model, whose answers are scripted, and one account."""

    def __init__(self, server: ServerProcess, provider: Namespace, model: str) -> None:
        self.server, self.provider, self.model = server, provider, model
        self.user = {"username": "admin", "password": PASSWORD}

    def answer(self, *answers: tuple[str | Step, ...] | Script) -> None:
        """What the model says, one answer after the other."""
        scripts = (each if isinstance(each, Script) else text_stream(*each) for each in answers)
        self.provider.script(self.model, *scripts)


@contextmanager
def new_lab(provider: ProviderProcess, directory: Path, **settings: str) -> Iterator[Lab]:
    model = unique("model")
    with provider.namespace() as own, ServerProcess(directory, f"{own.base_url}/v1", settings) as server:
        own.set_models(json_body({"data": [{"id": model}]}))
        yield Lab(server, own, model)


def clean(report: dict[str, Any]) -> dict[str, Any]:
    """The report of a visit in which nothing was against the policy and nothing went elsewhere."""
    assert (report["violations"], report["foreign"], report["errors"]) == ([], [], [])
    return report
