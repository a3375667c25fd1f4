"""In place of a model of the demo: comes up at once, says so, and is healthy until it ends.

With `--log-file FILE` it ends at once with status 1 while that file is there, and notes in it when that was.
"""

import argparse
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log-file", type=Path)
    parser.add_argument("--parent")
    arguments = parser.parse_args()
    if arguments.log_file is not None and arguments.log_file.exists():
        with arguments.log_file.open("a", encoding="ascii") as tries:
            tries.write(f"{time.monotonic()}\n")
        sys.exit(1)
    with HTTPServer(("127.0.0.1", arguments.port), Healthy) as server:
        sys.stdout.write("it answers\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
