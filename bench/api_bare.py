"""A bare Starlette route: answers with the bytes of a file, and does nothing else.

python -m bench.api_bare PORT FILE
"""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def app(content: bytes) -> Starlette:
    """Answers any GET and POST of `/`, once the body was read."""

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])


def main() -> None:
    """Serve until the process is killed."""
    port, file = sys.argv[1:]
    uvicorn.run(app(Path(file).read_bytes()), port=int(port), log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
