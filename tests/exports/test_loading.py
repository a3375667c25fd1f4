"""What writes documents is heavy, and loaded by the first export that needs it."""

import subprocess
import sys


def test_a_server_starts_without_fonts_pdf_and_docx() -> None:
    script = "import sys, api.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"docx", "fontTools", "fpdf", "uharfbuzz"} & set(loaded.split())
