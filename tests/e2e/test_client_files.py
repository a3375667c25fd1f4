"""Files in the web client: sent, shown and saved."""

from pathlib import Path

from tests.e2e.conftest import Pages
from tests.e2e.lab import Lab, clean, new_lab
from tests.provider.client import ProviderProcess


def test_files_are_picked_dropped_and_pasted_and_come_back(pages: Pages, lab: Lab) -> None:
    lab.answer(("Nice",))
    report = clean(pages.visit("attach", lab.server, **lab.user))
    assert report["chosen"] == ["dot.png", "notes.txt", "pasted.csv"]
    assert (report["left"], report["title"]) == (0, "dot.png")
    assert report["width"] == 5
    assert report["notes"] == ["notes.txt", "Some notes"]
    (request,) = lab.provider.requests(lab.model)
    kinds = [part["type"] for part in request.json["messages"][-1]["content"]]
    assert kinds == ["text", "input_image", "input_file", "input_file"]


def test_an_upload_is_followed_given_up_and_sent_again(
    pages: Pages, provider: ProviderProcess, tmp_path: Path
) -> None:
    with new_lab(provider, tmp_path, CHAT_MAX_BODY_BYTES="5000000") as lab:
        lab.server.admin().close()
        lab.answer(("Kept",), ("Kept too",))
        report = clean(pages.visit("upload", lab.server, **lab.user))
        assert len(lab.provider.requests(lab.model)) == 2
    assert (report["elsewhere"], report["canSend"]) == (0, False)
    assert report["texts"] == ["Keep this", "And this"]
    assert report["draft"] == ["Keep this", "big.bin"]
    assert report["problem"] == "Files may be 4.9 MB together."
    assert report["left"] == 0


def test_chats_are_saved_as_files(pages: Pages, lab: Lab) -> None:
    lab.answer(("Yes.",))
    report = clean(pages.visit("exports", lab.server, **lab.user))
    assert {name.rpartition(".")[2]: head for name, head in report["files"].items()} == {
        "md": "# Sa",
        "pdf": "%PDF",
        "docx": "PK\x03\x04",
    }
