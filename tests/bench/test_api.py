"""The bench of reads and writes: one small run of it goes from end to end."""

from argparse import Namespace
from pathlib import Path

from bench.api import compare

SMALL = Namespace(messages=200, threads=10, users=3, requests=2)


def test_a_small_run_measures_every_case_beside_its_references(tmp_path: Path) -> None:
    found = compare(SMALL, tmp_path)
    assert len(found) == 10
    for name, figures in found.items():
        assert figures["CPU ms"] > figures["bare CPU ms"] > 0, name
        assert ("of bound" in figures) is (name != "send, answered")
