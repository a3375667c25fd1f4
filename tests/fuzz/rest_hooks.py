"""What Schemathesis also does and checks on the REST API."""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

from tests.fuzz.answers import assert_private, assert_told_well
from tests.fuzz.knowledge import handed_over

_, SECRET = handed_over()


@schemathesis.hook
def before_load_schema(_context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Let the run that a message starts be followed, read and cancelled."""
    paths = raw_schema["paths"]
    runs = {
        path: operation for path, verbs in paths.items() if "{run_id}" in path for operation in verbs.values()
    }
    links = {
        path: {"operationId": operation["operationId"], "parameters": {"run_id": "$response.header.X-Run-Id"}}
        for path, operation in runs.items()
    }
    for path, status in (("", "201"), ("/stream", "200")):
        paths[f"/api/threads/{{thread_id}}/messages{path}"]["post"]["responses"][status]["links"] = links


@schemathesis.check
def other_users_data_is_private(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Nothing of the other user is in any answer."""
    assert_private(response.content, SECRET)


@schemathesis.check
def errors_are_for_callers(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Errors are JSON with a `detail`, in words for callers."""
    if response.status_code >= 400:
        assert response.json()["detail"]
        assert_told_well(response.text)
