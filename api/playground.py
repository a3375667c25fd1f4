"""The GraphQL playground: a page for browsers at the API's own address, and the files that it loads.

`make playground` builds both into `static/playground/`; without them, the page says so.
"""

from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount

from api.browsers import BrowserRoute, HashedFiles, page, security_headers

BUILT = Path(__file__).parent / "static" / "playground"

# The editor (Monaco) sets styles in attributes and in elements of its own; scripts are never inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = security_headers(POLICY)

NOT_BUILT = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gwp-chat · GraphQL</title>
<style>
  body { font: 16px/1.6 system-ui, sans-serif; margin: 15vh auto; max-width: 640px; padding: 0 24px }
  body { background: #fff; color: #2b3445 }
  h1 { font-size: 20px }
  code { background: #8882; border-radius: 4px; padding: 2px 6px }
  @media (prefers-color-scheme: dark) { body { background: #1b202b; color: #d6dce8 } }
</style>
<h1>This is the GraphQL API of gwp-chat</h1>
<p>Its playground was not built. With Node.js 20.19 or later, <code>make playground</code> builds it;
then load this page again.</p>
<p>The API needs no playground: send operations to this address by POST. <code>schema.graphql</code> is its
schema.</p>
</html>
"""


def playground_routes(path: str = "/graphql", built: Path = BUILT) -> list[BaseRoute]:
    """The page at `path` for whoever accepts HTML, and its files below; to stand before the API's routes."""
    return [
        BrowserRoute(path, page(built / "index.html", SECURITY_HEADERS, NOT_BUILT)),
        Mount(f"{path}/static", GZipMiddleware(HashedFiles(built / "assets", SECURITY_HEADERS))),
    ]
