"""Long texts cut into overlapping pieces that an embedding model can take whole."""

import re
import unicodedata
from dataclasses import dataclass

MOST_PIECES = 64
# Of a piece: how much the next one repeats, about and at most, and how much is searched for a good end.
_OVERLAP, _MOST_OVERLAP = 0.12, 0.18
_SEARCHED_FOR_END = 0.3
# Blanks cost nothing, but a piece of them must have an end, too.
MOST_CHARACTERS_PER_TOKEN = 8

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]*")
_UNIT = re.compile(r"(?P<blank>[\s\x00-\x1f\x7f-\x9f]+)|(?P<word>[^\W_]{1,32})|.", re.DOTALL)
_ENDS_SENTENCE = frozenset(".!?…‽。！？؟۔।॥")  # noqa: RUF001
_CLOSES = frozenset("\"'”’»)]}」』）】*_`")  # noqa: RUF001
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)

# How well a place is suited for a cut.
_NEVER, _ANYWHERE, _WORD, _SENTENCE, _LINE, _PARAGRAPH = range(6)

# Tokens of an alphabetic word: a part for itself and one for each letter.
_PER_WORD, _PER_LETTER, _PER_FOREIGN_LETTER = 0.4, 0.27, 0.29
_PER_CAPITAL_IN_A_ROW = 0.5
_PER_CAPITAL_AMONG_SMALL = 0.8
_PER_CHARACTER_OF_MIXED = 0.85
_PER_DIGIT = 0.5
# (last code point, tokens per letter) of the scripts beyond those with alphabets like ours.
_SCRIPTS = (
    (0x10FF, 0.45),  # Arabic, Indic, Thai, Georgian …
    (0x11FF, 0.8),  # Hangul letters
    (0x2E7F, 0.6),
    (0xABFF, 0.9),  # Chinese, Japanese
    (0xD7FF, 0.75),  # Hangul syllables
)
_FIRST_OF_OTHER_SCRIPTS = 0x0590
_PER_OTHER = 1.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, as offsets in code points: `text[start:end]`."""

    start: int
    end: int


@dataclass(slots=True)
class _Unit:
    """A word, a blank or a sign; what all up to its end costs; and how good a cut behind it is."""

    end: int
    tokens: float
    boundary: int


def cut(text: str, max_tokens: int) -> tuple[Piece, ...]:
    """The pieces of a text, in order: each of at most about `max_tokens` tokens, overlapping by some 12 %.

    They end between paragraphs, lines, sentences or words where that is possible, and begin and end with
    something visible; a text of nothing but blanks has none. At most `MOST_PIECES` are given: they cover
    the beginning of the text without a gap, and what follows is in none. Of 510 tokens each, they cover
    65,000 to 85,000 characters of English or Russian and 30,000 of Chinese. Time is taken for what is
    covered only: 100 ms at most, so cut long texts in a thread.

    Tokens are estimated, since the tokenizer of a model behind an API is not at hand. The estimate is
    fitted to XLM-RoBERTa's and errs on the safe side for prose, code, digests and emoji; only words of
    random letters cost more than it says.
    """
    pieces: list[Piece] = []
    start = _skip_blanks(text, 0)
    while start < len(text) and len(pieces) < MOST_PIECES:
        end, following = _piece_from(text, start, max_tokens)
        visible = start + len(text[start:end].rstrip())
        pieces.append(Piece(start, max(visible, start + 1)))
        start = _skip_blanks(text, following)
    return tuple(pieces)


def beginning(text: str, max_tokens: int) -> str:
    """The first piece of a text, empty if there is none."""
    start = _skip_blanks(text, 0)
    return text[start : _piece_from(text, start, max_tokens)[0]] if start < len(text) else ""


def estimated_tokens(text: str) -> float:
    """How many tokens a text has, rather too many than too few."""
    return sum(_cost(match) for match in _UNIT.finditer(text))


def _skip_blanks(text: str, start: int) -> int:
    match = _BLANKS.match(text, start)
    return match.end() if match else start


def _piece_from(text: str, start: int, max_tokens: int) -> tuple[int, int]:
    """Where the piece that begins here ends, and where the next one begins."""
    limit = start + max_tokens * MOST_CHARACTERS_PER_TOKEN
    units = _units(text, start, limit, max_tokens)
    end = units[-1].end
    if end >= len(text):
        return end, end
    spent = units[-1].tokens
    last = _best(units, spent * (1 - _SEARCHED_FOR_END), spent, wanted=spent)
    if last is None:
        return end, end
    low, high = last.tokens - _MOST_OVERLAP * max_tokens, last.tokens - _OVERLAP * max_tokens / 2
    first = _best(units, low, high, wanted=last.tokens - _OVERLAP * max_tokens)
    return last.end, last.end if first is None else first.end


def _units(text: str, start: int, limit: int, max_tokens: int) -> list[_Unit]:
    """What fits into a piece from here, at least one unit."""
    units: list[_Unit] = []
    tokens = 0.0
    ends_sentence = joined = False
    for match in _UNIT.finditer(text, start, limit):
        cost = _cost(match)
        if tokens + cost > max_tokens:
            if not units:  # a word so dense that it is too long by itself
                share = int((match.end() - start) * max_tokens / cost)
                return [_Unit(start + max(share, 1), max_tokens, _ANYWHERE)]
            break
        tokens += cost
        value = match.group()
        if units and (joined or _continues(value[0])):
            units[-1].boundary = _NEVER
        joined = value == _JOINER
        units.append(_Unit(match.end(), tokens, _boundary(match, ends_sentence=ends_sentence)))
        ends_sentence = value in _ENDS_SENTENCE or (ends_sentence and value in _CLOSES)
    end = units[-1].end
    if joined or _continues(text[end : end + 1]):
        units[-1].boundary = _NEVER
    return units


def _best(units: list[_Unit], low: float, high: float, *, wanted: float) -> _Unit | None:
    """The best boundary of those between `low` and `high` tokens: among equals, the nearest to `wanted`."""
    suited = [unit for unit in units if low <= unit.tokens <= high and unit.boundary != _NEVER]
    return max(suited, key=lambda unit: (unit.boundary, -abs(unit.tokens - wanted)), default=None)


def _boundary(match: re.Match[str], *, ends_sentence: bool) -> int:
    value = match.group()
    if match.lastgroup == "blank":
        lines = value.count("\n")
        return _PARAGRAPH if lines > 1 else _LINE if lines else _SENTENCE if ends_sentence else _WORD
    # Chinese and Japanese go on at once after the sign that ends a sentence.
    return _SENTENCE if value in _ENDS_SENTENCE and value > "\u2fff" else _ANYWHERE


def _continues(character: str) -> bool:
    """Whether this belongs to the character before it."""
    return not character.isascii() and (  # which the empty string is, too
        character == _JOINER
        or ord(character) in _SKIN_TONES
        or unicodedata.category(character).startswith("M")
    )


def _cost(match: re.Match[str]) -> float:
    """Tokens of one unit, as it will be after normalisation."""
    if match.lastgroup == "blank":
        return 0.0
    value = match.group()
    if not value.isascii():
        # Some characters become many: the one of U+FDFA is a sentence of eighteen.
        value = unicodedata.normalize("NFKC", value)
    return _cost_of_word(value) if match.lastgroup == "word" else _cost_of_sign(value)


def _cost_of_word(word: str) -> float:
    highest = ord(max(word))
    if highest >= _FIRST_OF_OTHER_SCRIPTS:
        per_letter = next((cost for last, cost in _SCRIPTS if highest <= last), _PER_OTHER)
        return _PER_WORD + len(word) * per_letter
    if not word.isalpha():
        return _PER_WORD + len(word) * (_PER_DIGIT if word.isdigit() else _PER_CHARACTER_OF_MIXED)
    if word.isupper() and len(word) > 1:
        return _PER_WORD + len(word) * _PER_CAPITAL_IN_A_ROW
    among_small = sum(map(str.isupper, word[1:]))
    per_letter = _PER_LETTER if word.isascii() else _PER_FOREIGN_LETTER
    return _PER_WORD + len(word) * per_letter + among_small * _PER_CAPITAL_AMONG_SMALL


def _cost_of_sign(sign: str) -> float:
    # Vowel signs of Indic scripts are written in words and priced like their letters.
    if len(sign) == 1 and unicodedata.category(sign).startswith("M") and ord(sign) < 0x1100:  # noqa: PLR2004
        return 0.45
    return len(sign) * _PER_OTHER
