"""`gwp-chat demo`: the server and a real model, with all data in one directory."""

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from api.demo.embedding_weights import MODEL_ID as EMBEDDING_MODEL
from api.demo.model_keeper import ModelKeeper
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

    The embedding model is waited for by nobody: without it, only search by meaning has to wait. Models that
    end are started again.
    """
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = _kept_secret(data_dir / "secret")
    except OSError as error:
        raise SettingsError(f"--data-dir: {error.strerror}: {error.filename}") from None
    own_embeddings = has_own_embeddings()
    weights = data_dir / "embedding" / f"{EMBEDDING_MODEL}.gguf"
    with (
        ModelProcess() as model,
        ModelProcess(embeddings=weights) as embedding,
        ModelKeeper(model, _teller("Chat"), start_seconds=MODEL_START_SECONDS) as chat_keeper,
        ModelKeeper(
            embedding, _teller("Search by meaning"), start_seconds=EMBEDDING_START_SECONDS
        ) as embedding_keeper,
    ):
        try:
            if own_embeddings:
                _require_two_ports(model_port, embedding_port)
                embedding.prepare(embedding_port, data_dir / "embedding.log")
            model.start(model_port, data_dir / "model.log")
            settings = demo_settings(data_dir, model.base_url, secret, embedding_port=embedding_port)
            model.wait_until_ready(MODEL_START_SECONDS)
        except ModelProcessError as error:
            raise SettingsError(str(error)) from None
        chat_keeper.start()

        def on_started() -> None:
            print(welcome(settings, host, port))  # noqa: T201
            if own_embeddings:
                # It comes up beside the server, which was not to wait for it.
                embedding_keeper.start()

        serve(settings, host=host, port=port, on_started=on_started)


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


def _teller(what: str) -> Callable[[str | None], None]:
    """Tells the person at the terminal why something is not available, or, without a reason, that it is."""

    def tell(reason: str | None) -> None:
        news = f"{what} is available again" if reason is None else f"{what} is not available: {reason}"
        print(news, file=sys.stderr, flush=True)  # noqa: T201

    return tell


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
