"""Settings: the documented defaults, and sentences for what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.settings import Settings, load_settings

DOCUMENTED_DEFAULTS = {
    "database_url": "sqlite:///./app.db",
    "api_prefix": "/api",
    "llm_enabled": True,
    "llm_api_base": None,
    "llm_api_scheme": "http",
    "llm_api_host": "127.0.0.1",
    "llm_api_port": 8080,
    "llm_api_path_prefix": "/v1",
    "llm_api_key": None,
    "llm_timeout_seconds": 30.0,
    "search_enabled": True,
    "embedding_model_name": "intfloat/multilingual-e5-large",
    "embedding_batch_size": 8,
    "embedding_device": None,
    "chroma_persist_directory": Path("./.chroma"),
    "search_min_similarity": 0.3,
    "jwt_secret_key": "change-me",
    "jwt_algorithm": "HS256",
    "access_token_expire_minutes": 15,
    "refresh_token_expire_minutes": 10080,
    "jwt_issuer": "gwp-chat",
    "jwt_audience": None,
    "attachments_storage_dir": Path("./storage"),
    "cors_origins": ("*",),
    "log_level": "INFO",
    "llm_system_prompt": "",
    "llm_attachment_format": "input",
    "agents_are_models": True,
}


def test_the_documented_defaults_hold() -> None:
    settings = Settings(_env_file=None)
    assert {name: getattr(settings, name) for name in DOCUMENTED_DEFAULTS} == DOCUMENTED_DEFAULTS


def test_values_may_stand_in_a_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("CHAT_LLM_API_PORT=1234\nCHAT_LLM_API_HOST=models.example\nOTHER=1\n")
    monkeypatch.setenv("CHAT_LLM_API_PORT", "4321")
    assert load_settings(file).llm_base_url == "http://models.example:4321/v1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHAT_LLM_API_PORT", "http"),
        ("CHAT_LLM_API_PORT", "70000"),
        ("CHAT_LLM_ENABLED", "perhaps"),
        ("CHAT_LLM_TIMEOUT_SECONDS", "0"),
        ("CHAT_DATABASE_URL", "mysql://db"),
        ("CHAT_DATABASE_URL", "sqlite://"),
        ("CHAT_LLM_API_BASE", "models.example"),
        ("CHAT_LLM_API_BASE", "http://"),
        ("CHAT_LLM_API_BASE", "http://[::1"),
        ("CHAT_LLM_API_KEY", "ключ"),
        ("CHAT_LLM_API_KEY", "key\nX-Other: 1"),
        ("CHAT_SHUTDOWN_GRACE_SECONDS", "inf"),
        ("CHAT_JWT_ALGORITHM", "none"),
        ("CHAT_LOG_LEVEL", "LOUD"),
        ("CHAT_TRUSTED_PROXIES", "proxy.example"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=rf"^{variable}: "):
        load_settings(None)


def test_a_password_in_a_wrong_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_DATABASE_URL", "mysql://root:hunter2@db")
    with pytest.raises(SettingsError) as caught:
        load_settings(None)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://127.0.0.1:8080/v1"),
        ({"llm_api_scheme": "https", "llm_api_host": "a", "llm_api_port": 1}, "https://a:1/v1"),
        ({"llm_api_base": "http://b:9/"}, "http://b:9/v1"),
        ({"llm_api_base": "http://b:9/v1"}, "http://b:9/v1"),
        ({"llm_api_base": "http://b:9", "llm_api_path_prefix": ""}, "http://b:9"),
        ({"llm_api_base": "http://b:9", "llm_api_path_prefix": "api/v2/"}, "http://b:9/api/v2"),
    ],
)
def test_the_base_url_gets_the_prefix_unless_it_has_it(values: dict[str, Any], url: str) -> None:
    assert Settings(_env_file=None, **values).llm_base_url == url


def test_secrets_are_not_in_the_settings_representation() -> None:
    settings = Settings(_env_file=None, jwt_secret_key="s3cr3t", llm_api_key="k3y")
    assert "s3cr3t" not in repr(settings)
    assert "k3y" not in repr(settings)
