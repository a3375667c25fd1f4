"""The files in `deploy/` are well-formed, name settings that exist, and leave the server time to drain."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAMS = Path(sys.executable).parent
FILES = ("Dockerfile", "compose.yaml", "gwp-chat.service", "kubernetes.yaml")


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def checked(*command: str) -> None:
    """Run a linter that must have nothing to say."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    checked(f"{PROGRAMS}/hadolint", f"{DEPLOY}/Dockerfile")


def test_compose_fits_its_specification() -> None:
    checked(
        f"{PROGRAMS}/check-jsonschema", "--builtin-schema", "vendor.compose-spec", f"{DEPLOY}/compose.yaml"
    )


def test_the_kubernetes_objects_fit_their_schemas() -> None:
    checked(f"{PROGRAMS}/kubernetes-validate", "--strict", "--quiet", f"{DEPLOY}/kubernetes.yaml")


def test_the_unit_passes_the_check_of_systemd(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None and not os.environ.get("CHAT_TEST_NEEDS_ALL"):
        pytest.skip("needs systemd-analyze")
    assert program is not None
    unit = tmp_path / "gwp-chat.service"
    unit.write_text(text_of(unit.name).replace("/opt/gwp-chat/bin", str(PROGRAMS)), encoding="utf-8")
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, check=False)
    # It only warns of unknown keys, with status 0.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_every_setting_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"\bCHAT_\w+", text_of(name)))
    assert named
    assert named <= {f"CHAT_{field.upper()}" for field in Settings.model_fields}


def test_the_settings_of_compose_are_those_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables take their defaults, or a secret."""
    server = yaml.safe_load(text_of("compose.yaml"))["services"]["server"]
    for name, value in server["environment"].items():
        given = re.sub(r"\$\{\w+:\?[^}]*\}", "a secret of many characters", value)
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", given))
    settings = Settings(_env_file=None)
    assert "--workers" in server["command"]
    assert settings.database_url.startswith("postgresql:")
    assert settings.redis_url
    assert settings.chroma_url


def seconds_to_end(text: str) -> dict[str, float]:
    """How long the server may take to end, by the settings of a file."""
    return {
        name: float(value)
        for name, value in re.findall(r"\bCHAT_SHUTDOWN_(DELAY|GRACE)_SECONDS[=:] ?\"?(\d+)", text)
    }


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("compose.yaml", r"context: \.\.[\s\S]*?stop_grace_period: (\d+)s"),
        ("gwp-chat.service", r"TimeoutStopSec=(\d+)"),
        ("kubernetes.yaml", r"terminationGracePeriodSeconds: (\d+)"),
    ],
)
def test_answers_have_their_grace_before_a_process_is_killed(name: str, pattern: str) -> None:
    (patience,) = re.findall(pattern, text_of(name))
    needed = seconds_to_end(text_of(name))
    assert "GRACE" in needed
    # And ten seconds to say goodbye.
    assert float(patience) >= sum(needed.values()) + 10
