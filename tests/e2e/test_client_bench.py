"""The bench of the web client: one small run of it goes from end to end."""

from pathlib import Path

import pytest

from bench.web_client import SHAPES, measure


@pytest.mark.usefixtures("pages")
def test_a_small_run_sees_frames_paints_and_scripts(tmp_path: Path) -> None:
    found = measure(tokens=60, visits=1, directory=tmp_path)
    assert found.keys() == {*SHAPES, "at rest", "first visits"}
    assert min(value for figures in found.values() for value in figures.values()) > 0
