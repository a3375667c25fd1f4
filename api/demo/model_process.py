"""A model of the demo as a child process: started, waited for, and stopped."""

import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from api.demo import model_server
from api.demo.model_server import HOST, port_in_use

_READY_POLL_S = 0.05
_HEALTH_TIMEOUT_S = 0.5
_NEIGHBOURS = 20
_LAST_PORT = 65535


class ModelProcessError(Exception):
    """The model could not be started, or has ended; one sentence for the person at the terminal."""


class ModelRefused(ModelProcessError):
    """The model itself said why it cannot be served, as where a package is missing."""


class ModelProcess:
    """One model server, which never outlives this process.

    It is for chat, or for embeddings if the file of their weights is given. `with` stops it at the end.
    Methods block, and all but `terminate` are for one thread at a time. `program` is what serves the model.
    """

    def __init__(
        self, *, embeddings: Path | None = None, program: Path = Path(model_server.__file__)
    ) -> None:
        self._embeddings = embeddings
        self._program = program
        self._child: subprocess.Popen[str] | None = None
        self._port = model_server.DEFAULT_PORT
        self._log_file: Path | None = None
        self._announced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://{HOST}:{self._port}/v1"

    @property
    def pid(self) -> int | None:
        """The child's process id; None when there is no child."""
        return None if self._child is None else self._child.pid

    def prepare(self, port: int, log_file: Path | None = None) -> None:
        """Say where it is to run. Raises ModelProcessError if the port is in use, naming a free one."""
        if self._child is not None:
            raise ModelProcessError(f"The model already runs on port {self._port}")
        self.require_free(port)
        self._port, self._log_file = port, log_file

    def start(self, port: int, log_file: Path | None = None) -> None:
        """Start the child and return at once; `wait_until_ready` tells what becomes of it.

        Call it from a thread that lives as long as the model should: Linux ends the child with it.
        Raises ModelProcessError if the port is in use, naming a free one.
        """
        self.prepare(port, log_file)
        self.start_prepared()

    def start_prepared(self) -> None:
        """As `start`, on the port that was said before; nothing if there is a child."""
        if self._child is not None:
            return
        self.require_free(self._port)
        self._announced = False
        self._child = subprocess.Popen(  # noqa: S603  # our own file, and numbers
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the parent, which lets its answers end and then stops the model.
            start_new_session=True,
        )

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Return as soon as the model answers.

        Raises ModelProcessError if the child ends first, with the child's own sentence, or if
        `timeout` seconds pass; the child is then still there to be stopped.
        """
        child = self._child
        if child is None:
            raise ModelProcessError("The model was not started")
        deadline = time.monotonic() + timeout
        # Its first line says that the port is its own; a stranger there could look as healthy.
        while not (self._announced and _is_healthy(self._port)):
            left = deadline - time.monotonic()
            if left <= 0:
                raise ModelProcessError(f"The model did not answer within {timeout:g} s{self._see_log()}")
            if not self._announced:
                self._announced = _first_line(child, left)
            if child.poll() is not None:
                raise self._end_of(child)
            if self._announced:
                time.sleep(min(_READY_POLL_S, left))

    def wait_until_end(self) -> ModelProcessError:
        """Why the child has ended, once it has; it must have been ready."""
        child = self._child
        if child is None:
            return ModelProcessError("The model was not started")
        child.wait()
        return self._end_of(child)

    def require_free(self, port: int) -> None:
        """Raises ModelProcessError if the port is in use, naming a free one."""
        if port_in_use(port):
            raise self._busy(port)

    def terminate(self, grace: float = 5.0) -> None:
        """End the child, by force if it is still there after `grace` seconds; who waits for it is told."""
        child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()

    def stop(self, grace: float = 5.0) -> None:
        """The same, and forget it; nothing if there is none."""
        self.terminate(grace)
        child, self._child = self._child, None
        if child is not None:
            with child:  # closes the pipes, and waits
                pass

    def _end_of(self, child: subprocess.Popen[str]) -> ModelProcessError:
        """Why the child ended: its last line, or else its status."""
        self._child = None
        with child:
            said = child.stderr.read().strip() if child.stderr else ""
        status = child.returncode
        kind = ModelRefused if status == model_server.EXIT_REFUSED else ModelProcessError
        if port_in_use(self._port):
            # Taken since we looked; the child names an option of its own.
            return kind(str(self._busy(self._port)))
        if said:
            return kind(said.splitlines()[-1])
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        when = "" if self._announced else " before it answered"
        return ModelProcessError(f"The model {how}{when}{self._see_log()}")

    def _command(self) -> list[str]:
        # By its path, with -P: a folder `api` where the demo is started must not be taken for ours.
        command = [sys.executable, "-P", str(self._program)]
        command += ["--port", str(self._port), "--parent", str(os.getpid())]
        if self._embeddings is not None:
            command += ["--embeddings", str(self._embeddings)]
        return command if self._log_file is None else [*command, "--log-file", str(self._log_file)]

    def _busy(self, port: int) -> ModelProcessError:
        option = "--model-port" if self._embeddings is None else "--embedding-port"
        return ModelProcessError(f"Port {port} is in use; try {option} {_free_port_after(port)}")

    def _see_log(self) -> str:
        return f"; see {self._log_file}" if self._log_file else ""


def _first_line(child: subprocess.Popen[str], timeout: float) -> bool:
    """Wait for what the child says when it serves; False if it ends or is still silent then."""
    if child.stdout is None or not select.select([child.stdout], [], [], timeout)[0]:
        return False
    if child.stdout.readline():
        return True
    child.wait()  # it closed its output, which only its end does
    return False


def _free_port_after(port: int) -> int:
    """The nearest port above that nobody listens on, or any that the system has."""
    for candidate in range(port + 1, min(port + _NEIGHBOURS, _LAST_PORT) + 1):
        if not port_in_use(candidate):
            return candidate
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        chosen: int = probe.getsockname()[1]
        return chosen


def _is_healthy(port: int) -> bool:
    """Whether llama.cpp's server says that it has loaded its model."""
    # Not urllib or httpx defaults: a proxy of the environment has no business on the loopback.
    connection = http.client.HTTPConnection(HOST, port, timeout=_HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
