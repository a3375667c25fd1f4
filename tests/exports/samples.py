"""Transcripts that the export tests share."""

from datetime import UTC, datetime

from core.exports import Entry, Transcript

MOMENT = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)

SCRIPTS = {
    "Russian": "Съешь ещё этих мягких французских булок, да выпей чаю",
    "Ukrainian": "Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів!",
    "Greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "Vietnamese": "Tiếng Việt: Xin chào thế giới",
    "Arabic": "مرحبا بالعالم",
    "Hebrew": "שלום עולם",
    "Hindi": "नमस्ते दुनिया",
    "Thai": "สวัสดีชาวโลก",
    "Georgian": "გამარჯობა მსოფლიო",
    "Chinese": "我能吞下玻璃而不伤身体",
    "Japanese": "いろはにほへと、カタカナ",
    "Korean": "안녕하세요 세계",
    "signs": "∑ ∈ ∀ ≤ √ ⇒ ∞ ✓ ✔ ★ ⚠ ☎ € ₽ ₹ ─ │ ┌",
}

EVERY_BLOCK = """# Heading

Running **bold**, *italic*, `inline код`, ~~struck~~ and [a link](https://example.org/a).

1. first
   - nested
2. second

> quoted

```python
def привет():
    return "мир"
```

| Name | Count |
|---|---|
| алмаз | 12 |

---

<script>alert(1)</script> [bad](javascript:alert(2)) ![picture](https://example.org/p.png)
"""

CONTROLS = "nul \x00 escape \x1b[31m bell \x07 delete \x7f surrogate \ud800 odd \ufffe &#12; &#0; end"


def chat(*texts: str, title: str = "A chat", error: str | None = None) -> Transcript:
    """A transcript of these messages, by turns of user and assistant."""
    senders = ("user", "assistant")
    entries = tuple(
        Entry(sender_type=senders[at % 2], created_at=MOMENT, text=text, attachments=(), error=error)
        for at, text in enumerate(texts)
    )
    return Transcript(title, MOMENT, entries)
