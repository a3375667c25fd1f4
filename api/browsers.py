"""What pages for browsers have in common: who gets them, and the headers of their files."""

from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


def security_headers(policy: str) -> dict[str, str]:
    """Headers of a page with this Content-Security-Policy, and of its files."""
    return {
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def page(index: Path, headers: Mapping[str, str], not_built: str) -> Callable[[Request], Response]:
    """An endpoint that gives the page `index`, or says in HTML that it was not built."""
    page_headers = {**headers, "Cache-Control": "no-cache", "Vary": "Accept"}

    def endpoint(_request: Request) -> Response:  # in a thread: it looks at the disk
        if index.is_file():
            return FileResponse(index, headers=page_headers)
        return HTMLResponse(not_built, headers=page_headers)

    return endpoint


class BrowserRoute(Route):
    """A route for browsers that open the address; requests of programs pass it by."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or not _accepts_html(scope):
            return Match.NONE, {}
        return super().matches(scope)


class HashedFiles(StaticFiles):
    """Files whose names carry a hash of what is in them: browsers keep them for ever."""

    def __init__(self, directory: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=directory, check_dir=False)
        self._headers = {**headers, "Cache-Control": "public, max-age=31536000, immutable"}

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 404."""
        response = await super().get_response(path, scope)
        response.headers.update(self._headers)
        return response


def _accepts_html(scope: Scope) -> bool:
    """Whether HTML is asked for by name: `*/*` is what programs send."""
    kinds = ",".join(Headers(scope=scope).getlist("accept")).split(",")
    return any(kind.split(";")[0].strip().lower() == "text/html" for kind in kinds)
