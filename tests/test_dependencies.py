"""Dependencies are pinned within their ranges, and each is accounted for."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
}


def test_the_constraints_pin_every_dependency_within_its_range() -> None:
    """`make lock` resolves them anew."""
    for text in [*PROJECT["dependencies"], *EXTRAS["demo"], *EXTRAS["dev"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), text


def test_torch_is_no_dependency_of_the_server_or_the_demo() -> None:
    assert not {"torch", "sentence-transformers"} & PINS.keys()


def test_what_tests_use_of_embeddings_is_within_its_range() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "tests" / "embeddings-constraints.txt").read_text().splitlines()
    )
    for text in EXTRAS["embeddings"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[requirement.name]), text


def test_every_dependency_earns_its_place() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for text in [*PROJECT["dependencies"], *EXTRAS["demo"], *EXTRAS["embeddings"]]:
        assert re.search(rf"\b{re.escape(Requirement(text).name)}\b", page), text
