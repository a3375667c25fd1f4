"""What models want to read before a question and before a passage, by family."""

import re
from dataclasses import dataclass

_REPRESENT = "Represent this sentence for searching relevant passages: "
_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Put before a text, for the model only."""

    query: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class VectorModel:
    """A model, and what is put before the texts that it is given."""

    name: str
    prefixes: Prefixes = Prefixes()

    def makes_same_passages_as(self, other: "VectorModel") -> bool:
        """Whether the vectors of passages are the same; queries are embedded when they are asked."""
        return (self.name, self.prefixes.passage) == (other.name, other.prefixes.passage)


# The first pattern found in a model's name counts: special ones stand before their families.
_FAMILIES = tuple(
    (re.compile(rf"(?<![a-z0-9]){pattern}", re.IGNORECASE), prefixes)
    for pattern, prefixes in (
        (r"(?:multilingual-)?e5-\S*instruct", Prefixes(_INSTRUCT)),
        (r"e5(?![a-z0-9])", Prefixes("query: ", "passage: ")),
        (r"bge-\S+-zh(?![a-z])", Prefixes("为这个句子生成表示以用于检索相关文章：")),  # noqa: RUF001
        (r"bge-\S+-en(?![a-z])", Prefixes(_REPRESENT)),
        (r"nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
        (r"nomic-embed-code", Prefixes("Represent this query for searching relevant code: ")),
        (r"mxbai-embed-de-", Prefixes("query: ", "passage: ")),
        (r"(?:mxbai-embed|uae-large)", Prefixes(_REPRESENT)),
        (r"snowflake-arctic-embed-?\S*-v2", Prefixes("query: ")),
        (r"snowflake-arctic-embed2", Prefixes("query: ")),
        (r"snowflake-arctic-embed", Prefixes(_REPRESENT)),
        (r"gte-qwen\S*-instruct", Prefixes(_INSTRUCT)),
        (r"qwen3-embedding", Prefixes(_INSTRUCT.removesuffix(" "))),
        (r"embeddinggemma", Prefixes("task: search result | query: ", "title: none | text: ")),
    )
)


def chosen_prefixes(model: str, query: str | None, passage: str | None) -> Prefixes:
    """These, or those of the model's family where there is none."""
    known = known_prefixes(model)
    return Prefixes(known.query if query is None else query, known.passage if passage is None else passage)


def known_prefixes(model: str) -> Prefixes:
    """The prefixes of a model's family, or none: BGE-M3, GTE, MiniLM and OpenAI's own take texts as they are.

    `model` is a name or a directory; the last part of it is looked at first.
    """
    for name in (model.rstrip("/\\").replace("\\", "/").rpartition("/")[2], model):
        for pattern, prefixes in _FAMILIES:
            if pattern.search(name):
                return prefixes
    return Prefixes()
