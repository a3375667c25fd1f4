"""`gwp-chat demo` as a process, with ports and a directory of its own."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.processes import free_port

ROOT = Path(__file__).parents[2]
LAST_LINE = "Ctrl-C ends everything."


@dataclass(frozen=True)
class Demo:
    url: str
    model_port: int
    embedding_port: int
    welcome: str
    directory: Path
    process: subprocess.Popen[str]


def start_demo(directory: Path) -> Demo:
    port, model_port, embedding_port = free_port(), free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    command = [sys.executable, "-m", "api", "demo", "--port", str(port), "--model-port", str(model_port)]
    process = subprocess.Popen(
        [*command, "--embedding-port", str(embedding_port)],
        cwd=directory,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.strip() == LAST_LINE:
            break
    url = f"http://127.0.0.1:{port}"
    return Demo(url, model_port, embedding_port, "".join(lines), directory, process)


def end(demo: Demo, number: signal.Signals = signal.SIGINT) -> int:
    demo.process.send_signal(number)
    status = demo.process.wait(30)
    assert demo.process.stdout is not None
    demo.process.stdout.close()
    return status
