"""Server-sent events, parsed by the rules of the HTML standard (9.2.6) on bytes.

Works on bytes, so that a character split over two reads needs no care, and so that the payload can
be forwarded as it came.
"""

BOM = b"\xef\xbb\xbf"


class EventStreamParser:
    """Takes the body in pieces of any size and gives the `data` of each complete event.

    Lines end in LF, CR or CRLF. Several data lines are joined by LF. Comments, `event`, `id`, `retry`
    and unknown fields are skipped: the protocol spoken here carries all in `data`.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._swallow_lf = False
        self._at_start = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads completed by `piece`, in order."""
        if not (self._rest or self._data or self._swallow_lf):
            payloads = _plain(piece)
            if payloads is not None:
                self._at_start = False
                return payloads
        return self._feed(piece)

    def _feed(self, piece: bytes) -> list[bytes]:
        if self._swallow_lf and piece:
            self._swallow_lf = False
            piece = piece.removeprefix(b"\n")
        if b"\n" not in piece and b"\r" not in piece:
            self._rest += piece
            return []
        self._rest += piece
        block = bytes(self._rest)
        if self._at_start:
            if len(block) < len(BOM) and BOM.startswith(block):
                return []
            block = block.removeprefix(BOM)
            self._at_start = False
        # On bytes, splitlines knows exactly the three line ends of the standard.
        lines = block.splitlines(keepends=True)
        self._rest = bytearray() if lines and lines[-1][-1:] in (b"\n", b"\r") else bytearray(lines.pop())
        self._swallow_lf = block.endswith(b"\r")
        return [payload for line in lines if (payload := self._line(line.rstrip(b"\r\n"))) is not None]

    def close(self) -> bytes | None:
        """What a body that ended cleanly leaves: its last event, if the closing blank line is missing.

        Here the standard would discard it; the words of an answer are worth more.
        """
        if self._rest:
            rest = bytes(self._rest)
            self._line(rest.removeprefix(BOM) if self._at_start else rest)
            self._rest.clear()
        return self._line(b"")

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            if not self._data:
                return None
            payload = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data = []
            return payload
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")
        return None


def _plain(piece: bytes) -> list[bytes] | None:
    """The payloads of a piece that is what most are, whole events of one line each; None for any other."""
    if not piece.endswith(b"\n\n") or b"\r" in piece:
        return None
    payloads = []
    for event in piece[:-2].split(b"\n\n"):
        if not event.startswith(b"data: ") or b"\n" in event:
            return None
        payloads.append(event[6:])
    return payloads
