"""Styled text broken into lines of a width, each with its pieces in the order in which they are drawn."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.exports.bidi import levels, reads_rtl, visual_order
from core.exports.pdf_pieces import Face, Piece, Pieces

_WORDS = re.compile(
    r"\u200b|[^\S\u00a0\u202f]+"
    # Chinese and Japanese break between any two characters, but not before a closing mark.
    "|[\u2e80-\u2fff\u3005-\u3007\u3021-\u30fa\u3100-\u4dbf\u4e00-\u9fff\uf900-\ufaff][\u3001\u3002\u3009\u300b"
    "\u300d\u300f\u3011\u3015\u30fb-\u30ff\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3d\uff5d]*"
    r"|[^\s\u200b\u2e80-\u2fff\u3005-\u3007\u3021-\u30fa\u3100-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[\u00a0\u202f]+"
)
_CLUSTERS = re.compile(
    "(?s:.)(?:[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u200d\ufe00-\ufe0f]|(?<=[\u094d\u200d]).)*"
)


@dataclass(frozen=True, slots=True)
class Look:
    """A face, and what else a run of text carries: a colour, a line through it or under it, a link."""

    face: Face
    color: tuple[int, int, int] = (0, 0, 0)
    strike: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A piece with its look, ready to be drawn."""

    piece: Piece
    look: Look
    level: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """Runs from left to right."""

    runs: tuple[Run, ...]
    width: float
    rtl: bool = False


Text = list[tuple[str, Look]]


@dataclass(slots=True)
class _Word:
    """What must not be parted, unless it is wider than a line."""

    runs: list[Run]
    width: float
    blank: bool
    breaks_after: bool = False


class Breaker:
    """Breaks text into lines; measures by `pieces`."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def lines(self, text: Text, width: float, *, verbatim: bool = False) -> list[Line]:
        """The lines of the text; every newline ends one. `verbatim` keeps blanks, as code needs."""
        found: list[Line] = []
        for paragraph in _split(text):
            plain = "".join(part for part, _ in paragraph)
            rtl = not verbatim and reads_rtl(plain)
            words = self._words(_leveled(paragraph, levels(plain, rtl=rtl)))
            found += (_line(words, rtl=rtl) for words in self._fill(words, width, verbatim=verbatim))
        return found

    def widest_word(self, text: Text) -> float:
        """The narrowest width that parts no word."""
        return max(
            (word.width for part in _split(text) for word in self._words(_leveled(part, None))), default=0.0
        )

    def _words(self, parts: Iterator[tuple[str, Look, int]]) -> Iterator[_Word]:
        word: _Word | None = None
        for text, look, level in parts:
            for match in _WORDS.finditer(text):
                atom = match.group()
                blank = (atom.isspace() and atom[0] not in "\u00a0\u202f") or atom == "\u200b"
                alone = blank or atom[0] >= "\u2e80"
                if word is not None and (alone or word.blank or word.breaks_after):
                    yield word
                    word = None
                runs = [Run(piece, look, level) for piece in self._pieces.cut(atom, look.face)]
                if word is None:
                    word = _Word([], 0.0, blank)
                word.runs += runs
                word.width += sum(run.piece.width for run in runs)
                word.breaks_after = alone
        if word is not None:
            yield word

    def _fill(self, words: Iterator[_Word], width: float, *, verbatim: bool) -> Iterator[list[_Word]]:
        line: list[_Word] = []
        room, ended = width, False
        for word in words:
            if word.width <= room:
                if line or not word.blank or verbatim:
                    line.append(word)
                    room -= word.width
                continue
            if word.blank and not verbatim:
                # A blank that does not fit ends the line and is not drawn.
                yield line
                line, room, ended = [], width, True
                continue
            pieces = [word] if word.width <= width and not verbatim else list(self._parted(word))
            for part in pieces:
                if part.width > room and line:
                    yield line
                    line, room = [], width
                line.append(part)
                room -= part.width
        if line or not ended:
            yield line

    def _parted(self, word: _Word) -> Iterator[_Word]:
        """The word letter by letter, for where it is wider than a line."""
        for run in word.runs:
            for cluster in _CLUSTERS.findall(run.piece.text):
                runs = [Run(piece, run.look, run.level) for piece in self._pieces.cut(cluster, run.look.face)]
                yield _Word(runs, sum(part.piece.width for part in runs), word.blank)


def _split(text: Text) -> list[Text]:
    """The text cut at its newlines."""
    found: list[Text] = [[]]
    for part, look in text:
        first, *others = part.split("\n")
        found[-1].append((first, look))
        found += ([(other, look)] for other in others)
    return found


def _leveled(paragraph: Text, found: Sequence[int] | None) -> Iterator[tuple[str, Look, int]]:
    """The paragraph cut where the direction changes."""
    at = 0
    for text, look in paragraph:
        start = 0
        if found is not None:
            for index in range(1, len(text)):
                if found[at + index] != found[at + index - 1]:
                    yield text[start:index], look, found[at + start]
                    start = index
        if text:
            yield text[start:], look, 0 if found is None else found[at + start]
        at += len(text)


def _line(words: list[_Word], *, rtl: bool) -> Line:
    while words and words[-1].blank:
        words.pop()
    groups: list[list[Run]] = []
    script = ""
    for word in words:
        for run in word.runs:
            if groups and _alike(groups[-1][0], run) and _compatible(script, run.piece.script):
                groups[-1].append(run)
                script = script or run.piece.script
            else:
                groups.append([run])
                script = run.piece.script
    runs = [_joined(group) for group in groups]
    ordered = visual_order(runs) if any(run.level for run in runs) else runs
    return Line(tuple(ordered), sum(run.piece.width for run in ordered), rtl)


def _alike(left: Run, right: Run) -> bool:
    return left.piece.font == right.piece.font and left.level == right.level and left.look == right.look


def _joined(runs: list[Run]) -> Run:
    first = runs[0]
    if len(runs) == 1:
        return first
    pieces = [run.piece for run in runs]
    text, width = "".join(piece.text for piece in pieces), sum(piece.width for piece in pieces)
    script = next((piece.script for piece in pieces if piece.script), "")
    piece = Piece(text, first.piece.font, width, script, any(piece.shaped for piece in pieces))
    return Run(piece, first.look, first.level)


def _compatible(script: str, other: str) -> bool:
    return not script or not other or script == other
