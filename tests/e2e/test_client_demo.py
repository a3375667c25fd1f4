"""The web client on the real models of `gwp-chat demo`."""

from pathlib import Path

from tests.demo.running import end, start_demo
from tests.e2e.conftest import Pages
from tests.e2e.lab import clean
from tests.servers import PASSWORD


def test_a_real_model_answers_and_is_found_by_meaning(pages: Pages, tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    try:
        report = clean(pages.visit("real", demo, username="ada", password=PASSWORD))
    finally:
        end(demo)
    assert report["answer"].strip()
    assert report["found"] == "What is the capital of France?"
