"""The bench of the web client: one small run of it goes from end to end."""

from pathlib import Path

import pytest

from bench.web_client import measure


@pytest.mark.usefixtures("pages")
def test_a_small_run_sees_frames_paints_and_scripts(tmp_path: Path) -> None:
    found = measure(tokens=60, visits=1, directory=tmp_path)
    assert len(found) == 10
    assert min(value for name, value in found.items() if "over" not in name) > 0
