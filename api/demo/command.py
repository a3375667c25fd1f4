"""`gwp-chat demo`: the server and a real model, with all data in one directory."""

import os
import secrets
from pathlib import Path

from api.demo.model_process import ModelProcess, ModelProcessError
from api.demo.welcome import welcome
from api.server import serve
from core.errors import SettingsError
from core.settings import Settings, load_settings

SYSTEM_PROMPT = (
    "You are a friendly assistant. Answer the question in two or three short, plain English sentences."
)
MODEL_START_SECONDS = 60


def run(*, host: str, port: int, model_port: int, data_dir: Path) -> None:
    """Serve until Ctrl-C. Raises `SettingsError` with a sentence if something cannot start."""
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = _kept_secret(data_dir / "secret")
    except OSError as error:
        raise SettingsError(f"--data-dir: {error.strerror}: {error.filename}") from None
    with ModelProcess() as model:
        try:
            model.start(model_port, data_dir / "model.log")
            settings = demo_settings(data_dir, model.base_url, secret)
            model.wait_until_ready(MODEL_START_SECONDS)
        except ModelProcessError as error:
            raise SettingsError(str(error)) from None
        serve(settings, host=host, port=port, on_started=lambda: print(welcome(settings, host, port)))  # noqa: T201


def demo_settings(data_dir: Path, model_url: str, secret: str) -> Settings:
    """The demo's settings; what `CHAT_*` and `.env` say explicitly comes before them."""
    explicit = load_settings()
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
            **{name: getattr(explicit, name) for name in explicit.model_fields_set},
        },
    )


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
