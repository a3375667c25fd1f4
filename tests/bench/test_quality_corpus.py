"""Files of translated package descriptions, as the bench reads them."""

from pathlib import Path

from bench.quality_corpus import Description, parse, translated_packages

FILE = """Package: cat
Description-md5: 0123
Description-{0}: {1} summary
 {2}
 and on.
 .
 The end.

Package: empty
Description-md5: 4567
Description-{0}: nothing more
"""


def test_summary_and_text_of_a_package_are_read() -> None:
    (found,) = parse(FILE.format("de", "kurze", "Ein Text"), "de")
    assert found == Description("cat", "de", "kurze summary", "Ein Text\nand on.\n\nThe end.")


def test_only_what_is_described_in_all_languages_counts(tmp_path: Path) -> None:
    for language in ("en", "de", "ru"):
        long = f"{language} says it at length. " * 10
        other = "" if language == "ru" else FILE.format(language, "a", long).replace("cat", "dog")
        content = FILE.format(language, "a", long) + "\n" + other
        (tmp_path / f"mirror_Translation-{language}").write_text(content, encoding="utf-8")
    (package,) = translated_packages(tmp_path, 10)
    assert {language: each.package for language, each in package.items()} == dict.fromkeys(package, "cat")
