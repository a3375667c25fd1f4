"""The fonts of the PDF export: which there are, which characters each can draw, and how wide.

They come out of the packages `pymupdf-fonts` (SIL Open Font License) and, for Chinese, Japanese and Korean,
out of `fonts/` beside this file; nothing is fetched and nothing of the system's is used.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.resources import files

import uharfbuzz as hb  # type: ignore[import-untyped]  # carries no types
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]  # carries no types
from fontTools.pens.cu2quPen import Cu2QuPen  # type: ignore[import-untyped]  # carries no types
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]  # carries no types
from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]  # carries no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # carries no types

REPLACEMENT_FONT = "NotoSans_Regular"
_CJK = "DroidSansFallback"
_SANS = {
    (False, False): "FiraGO_Regular",
    (True, False): "FiraGO_Bold",
    (False, True): "FiraGO_Italic",
    (True, True): "FiraGO_BoldItalic",
}
_MONO = {
    (False, False): "CascadiaMono_Regular",
    (True, False): "CascadiaMono_Bold",
    (False, True): "CascadiaMono_Italic",
    (True, True): "CascadiaMono_BoldItalic",
}
_OTHERS = (
    REPLACEMENT_FONT,
    "FiraGO_Regular",
    "CascadiaMono_Regular",
    _CJK,
    "NotoSansMath_Regular",
    "NotoSansSymbols2_Regular",
    "NotoSansSymbols_Regular",
    "NotoMusic_Regular",
)


@dataclass(frozen=True, slots=True, eq=False)
class Font:
    """One font file: its bytes, and the advance (in thousandths of its size) of each character it has."""

    name: str
    data: bytes
    advances: dict[int, int]
    face: hb.Face
    postscript: bool


@lru_cache(maxsize=32)
def font(name: str) -> Font:
    """The font of that name, read once per process."""
    data = _read(name)
    with TTFont(io.BytesIO(data), lazy=True) as table:
        scale = 1000 / table["head"].unitsPerEm
        metrics = table["hmtx"].metrics
        # Rounded as the PDF writer does, so that what is measured is what is drawn.
        advances = {
            char: round(scale * metrics[glyph][0] + 0.001) for char, glyph in table.getBestCmap().items()
        }
        return Font(name, data, advances, hb.Face(data), "CFF " in table)


def chain(*, bold: bool, italic: bool, mono: bool) -> tuple[str, ...]:
    """The names of the fonts to try for a style, best first."""
    first = (_MONO if mono else _SANS)[bold, italic]
    return (first, *(name for name in _OTHERS if name != first))


def file_for(name: str, chars: Iterable[int]) -> bytes:
    """A TrueType file with at least these characters of the font.

    PostScript outlines are turned into TrueType ones, because the PDF writer labels all fonts as such.
    """
    return _as_truetype(font(name), chars) if font(name).postscript else font(name).data


def _read(name: str) -> bytes:
    if name == _CJK:
        return files("core.exports").joinpath("fonts", f"{_CJK}.ttf").read_bytes()
    data = import_module(f"pymupdf_fonts.{name}").fontbuffer
    if not isinstance(data, bytes):
        raise TypeError(f"pymupdf_fonts.{name} holds no font")
    return data


def _as_truetype(source: Font, chars: Iterable[int]) -> bytes:
    options = Options(layout_features=[], notdef_outline=True, name_IDs=["*"])
    with TTFont(io.BytesIO(source.data)) as table:
        subsetter = Subsetter(options)
        subsetter.populate(unicodes={0x20, *chars})
        subsetter.subset(table)
        names = table.getGlyphOrder()
        glyphs = {}
        for name in names:
            pen = TTGlyphPen(None)
            table.getGlyphSet()[name].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
            glyphs[name] = pen.glyph()
        head, hhea, os2 = table["head"], table["hhea"], table["OS/2"]
        builder = FontBuilder(head.unitsPerEm, isTTF=True)
        builder.setupGlyphOrder(names)
        builder.setupCharacterMap(table.getBestCmap())
        builder.setupGlyf(glyphs)
        builder.setupHorizontalMetrics(table["hmtx"].metrics)
        builder.setupHorizontalHeader(ascent=hhea.ascent, descent=hhea.descent)
        builder.setupNameTable({"familyName": source.name, "styleName": "Regular", "fullName": source.name})
        builder.setupOS2(sTypoAscender=os2.sTypoAscender, sTypoDescender=os2.sTypoDescender)
        builder.setupPost()
        # The time of day has no place in the file: the same chat gives the same bytes.
        builder.updateHead(created=head.created, modified=head.modified)
        builder.font.recalcTimestamp = False
        out = io.BytesIO()
        builder.save(out)
        return out.getvalue()
