"""The web client: one page for all of its addresses, and the files that it loads.

`make client` builds both into `static/client/`; without them, the page says so.
"""

from pathlib import Path
from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount

from api.browsers import BrowserRoute, HashedFiles, page, security_headers

BUILT = Path(__file__).parent / "static" / "client"

# Those of web/client/src/router.ts.
ADDRESSES: Final = ("/", "/t/{thread_id}", "/admin", "/sign-in")

SECURITY_HEADERS = security_headers(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

NOT_BUILT = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gwp-chat</title>
<h1>gwp-chat is running</h1>
<p>Its web client was not built. With Node.js 20.19 or later, <code>make client</code> builds it;
then load this page again.</p>
<p>The APIs need no client: see <a href="/graphql">/graphql</a> and <a href="/docs">/docs</a>.</p>
</html>
"""


def client_routes(built: Path = BUILT) -> list[BaseRoute]:
    """The page at each of its addresses for whoever accepts HTML, and its files."""
    client = page(built / "index.html", SECURITY_HEADERS, NOT_BUILT)
    return [
        *(BrowserRoute(address, client) for address in ADDRESSES),
        Mount("/client/assets", GZipMiddleware(HashedFiles(built / "assets", SECURITY_HEADERS))),
    ]
