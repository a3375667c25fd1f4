"""Pages that fill from top to bottom: what is drawn, and where, in points from the upper left corner."""

from dataclasses import dataclass

from core.exports.pdf_lines import Line, Run

Color = tuple[int, int, int]

PAGE_WIDTH, PAGE_HEIGHT = 595.28, 841.89  # A4
LEFT, RIGHT = 62.0, PAGE_WIDTH - 62.0
TOP, BOTTOM = 60.0, PAGE_HEIGHT - 72.0


@dataclass(frozen=True, slots=True)
class Text:
    """A run; `y` is its baseline."""

    x: float
    y: float
    run: Run


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle; rules are thin ones."""

    x: float
    y: float
    width: float
    height: float
    color: Color


Op = Text | Box


class Flow:
    """The pages so far, and the height at which the next thing goes."""

    def __init__(self) -> None:
        self.pages: list[list[Op]] = [[]]
        self.y = TOP

    @property
    def page(self) -> list[Op]:
        """What is on the current page."""
        return self.pages[-1]

    @property
    def at_top(self) -> bool:
        """Whether the current page is empty."""
        return not self.page

    def new_page(self) -> None:
        """The next thing goes to the top of a new page."""
        self.pages.append([])
        self.y = TOP

    def need(self, height: float) -> None:
        """A new page, unless this much still fits here or would fit nowhere better."""
        if self.y + height > BOTTOM and not self.at_top:
            self.new_page()

    def space(self, height: float) -> None:
        """Blank space; none at the top of a page."""
        if not self.at_top:
            self.y += height

    def place(self, line: Line, left: float, right: float, leading: float, size: float) -> None:
        """The line between two margins at the current height, without moving on."""
        x = right - line.width if line.rtl else left
        baseline = self.y + leading / 2 + size * 0.35
        for run in line.runs:
            self.page.append(Text(x, baseline, run))
            x += run.piece.width

    def rule(self, left: float, right: float, color: Color, thickness: float = 0.6) -> None:
        """A horizontal line at the current height."""
        self.page.append(Box(left, self.y, right - left, thickness, color))


class Background:
    """A box behind what is placed from now on, with a margin on every page that it reaches."""

    def __init__(self, flow: Flow, left: float, right: float, color: Color, padding: float) -> None:
        self._flow, self._padding = flow, padding
        self._left, self._width, self._color = left, right - left, color
        self._page, self._index = flow.page, len(flow.page)
        self._top = flow.y
        flow.y += padding

    def step(self, height: float) -> None:
        """Makes room for a line of this height, on a new page if it must be."""
        reached = self._flow.y + self._padding
        self._flow.need(height + self._padding)
        if self._page is not self._flow.page:
            self._page.insert(self._index, self._box(reached - self._top))
            self._page, self._index, self._top = self._flow.page, 0, TOP
            self._flow.y += self._padding

    def close(self) -> None:
        """The box ends below what was placed."""
        self._flow.y += self._padding
        self._page.insert(self._index, self._box(self._flow.y - self._top))

    def _box(self, height: float) -> Box:
        return Box(self._left, self._top, self._width, height, self._color)
