"""Real texts in three languages that say the same: Debian's package descriptions and their translations.

What somebody has translated is a labelled set for nothing: the summary of a package is a question whose
answer is the long description of the same package, in any language. `apt` fetches the files by the sources
that are set on the machine, into a directory of ours.
"""

import os
import re
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "de", "ru")
_CONFIGURATION: Final = """Dir::Etc::parts "{directory}/parts";
Acquire::Languages {{ "en"; "de"; "ru"; }};
Dir::State::lists "{directory}/lists";
Dir::Cache "{directory}/cache";
APT::Sandbox::User "root";
"""
# Shorter ones say too little to be found by, and a longer one would be several pieces.
_SHORTEST, _LONGEST = 150, 1500
_FIELD: Final = re.compile(r"^Description-[a-z]{2}: ?(.*)$")


@dataclass(frozen=True, slots=True)
class Description:
    """What a package is, in one language."""

    package: str
    language: str
    summary: str
    text: str

    @property
    def is_held_out(self) -> bool:
        """Whether nothing was tuned on it."""
        return zlib.crc32(self.package.encode()) % 2 == 1


def fetch(directory: Path) -> Path:
    """Where the files `…Translation-<language>` are, fetched into `directory`."""
    for name in ("parts", "lists/partial", "cache"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    configuration = directory / "apt.conf"
    configuration.write_text(_CONFIGURATION.format(directory=directory), encoding="utf-8")
    try:
        subprocess.run(
            ["apt-get", "--quiet", "update"],  # noqa: S607 - wherever the machine has it
            env={**os.environ, "APT_CONFIG": str(configuration)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"apt cannot fetch descriptions ({error}); name a directory that has them") from None
    return directory / "lists"


def translated_packages(directory: Path, most: int) -> list[dict[str, Description]]:
    """Packages that are described in all languages, by language; those whose names hash lowest."""
    known: dict[str, dict[str, Description]] = {}
    for language in LANGUAGES:
        for file in sorted(directory.glob(f"*Translation-{language}")):
            for description in parse(file.read_text(encoding="utf-8"), language):
                known.setdefault(description.package, {}).setdefault(language, description)
    complete = {
        package: by_language
        for package, by_language in known.items()
        if len(by_language) == len(LANGUAGES)
        and all(_SHORTEST <= len(each.text) <= _LONGEST for each in by_language.values())
        # A few translators give up in the middle.
        and by_language["en"].text not in (by_language["de"].text, by_language["ru"].text)
    }
    chosen = sorted(complete, key=lambda package: zlib.crc32(package.encode()[::-1]))[:most]
    return [complete[package] for package in sorted(chosen)]


def parse(content: str, language: str) -> Iterator[Description]:
    """The descriptions in a file of translations: deb822, https://wiki.debian.org/DebianRepository/Format."""
    for paragraph in content.split("\n\n"):
        package = summary = None
        lines: list[str] = []
        for line in paragraph.splitlines():
            if line.startswith("Package: "):
                package = line.removeprefix("Package: ")
            elif found := _FIELD.match(line):
                summary = found[1]
            elif line.startswith(" ") and summary is not None:
                lines.append("" if line == " ." else line[1:])
        if package and summary and lines:
            yield Description(package, language, summary, "\n".join(lines).strip())
