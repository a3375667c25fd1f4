"""`gwp-chat demo`: the server and a real model, with all data in one directory."""

import os
import secrets
import sys
from pathlib import Path

from api.demo.embedding_weights import MODEL_ID as EMBEDDING_MODEL
from api.demo.model_process import ModelProcess, ModelProcessError
from api.demo.model_server import DEFAULT_EMBEDDING_PORT, HOST
from api.demo.welcome import welcome
from api.server import serve
from core.errors import SettingsError
from core.settings import Settings, load_settings

SYSTEM_PROMPT = (
    "You are a friendly assistant. Answer the question in two or three short, plain English sentences."
)
MODEL_START_SECONDS = 60
EMBEDDING_START_SECONDS = 300


def run(
    *,
    host: str,
    port: int,
    model_port: int,
    data_dir: Path,
    embedding_port: int = DEFAULT_EMBEDDING_PORT,
) -> None:
    """Serve until Ctrl-C. Raises `SettingsError` with a sentence if something cannot start.

    The embedding model is waited for by nobody: without it, only search by meaning has to wait.
    """
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = _kept_secret(data_dir / "secret")
    except OSError as error:
        raise SettingsError(f"--data-dir: {error.strerror}: {error.filename}") from None
    own_embeddings = has_own_embeddings()
    weights = data_dir / "embedding" / f"{EMBEDDING_MODEL}.gguf"
    with ModelProcess() as model, ModelProcess(embeddings=weights) as embedding:
        try:
            if own_embeddings:
                _require_two_ports(model_port, embedding_port)
                embedding.require_free(embedding_port)
            model.start(model_port, data_dir / "model.log")
            settings = demo_settings(data_dir, model.base_url, secret, embedding_port=embedding_port)
            model.wait_until_ready(MODEL_START_SECONDS)
        except ModelProcessError as error:
            raise SettingsError(str(error)) from None

        def on_started() -> None:
            print(welcome(settings, host, port))  # noqa: T201
            if own_embeddings:
                _start_embeddings(embedding, embedding_port, data_dir / "embedding.log")

        serve(settings, host=host, port=port, on_started=on_started)


def _start_embeddings(embedding: ModelProcess, port: int, log_file: Path) -> None:
    """Let the embedding model come up beside the server, which was not to wait for it."""
    try:
        embedding.start(port, log_file)
    except ModelProcessError as error:
        _tell_of_no_embeddings(str(error))
    else:
        embedding.watch(_tell_of_no_embeddings, EMBEDDING_START_SECONDS)


def has_own_embeddings() -> bool:
    """Whether the demo brings the embedding model, as it does where `CHAT_*` names none."""
    explicit = load_settings()
    named = {"embedding_api_base", "embedding_model_name"} & explicit.model_fields_set
    return explicit.search_enabled and not named


def demo_settings(data_dir: Path, model_url: str, secret: str, *, embedding_port: int) -> Settings:
    """The demo's settings; what `CHAT_*` and `.env` say explicitly comes before them."""
    explicit = load_settings()
    embeddings = {
        "embedding_api_base": f"http://{HOST}:{embedding_port}/v1",
        "embedding_model_name": EMBEDDING_MODEL,
    }
    return Settings(
        _env_file=None,
        **{
            "database_url": f"sqlite:///{data_dir / 'app.db'}",
            "attachments_storage_dir": data_dir / "storage",
            "chroma_persist_directory": data_dir / "chroma",
            "jwt_secret_key": secret,
            "llm_api_base": model_url,
            "llm_system_prompt": SYSTEM_PROMPT,
            "log_level": "WARNING",
            "shutdown_grace_seconds": 3,
            **(embeddings if has_own_embeddings() else {}),
            **{name: getattr(explicit, name) for name in explicit.model_fields_set},
        },
    )


def _require_two_ports(model_port: int, embedding_port: int) -> None:
    if model_port == embedding_port:
        raise SettingsError("--model-port and --embedding-port: two models need two ports")


def _tell_of_no_embeddings(reason: str) -> None:
    print(f"Search by meaning is not available: {reason}", file=sys.stderr, flush=True)  # noqa: T201


def _kept_secret(file: Path) -> str:
    """A random secret, made once, readable by its owner only."""
    if file.exists() and (kept := file.read_text(encoding="ascii").strip()):
        return kept
    secret = secrets.token_urlsafe(48)
    # Written aside and renamed: a start that is cut off leaves no empty secret behind.
    partial = file.with_suffix(".part")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(secret + "\n")
    partial.replace(file)
    return secret
