"""What can go wrong between a text and its vector."""

import numpy as np
from numpy.typing import NDArray

from core.errors import CoreError, InvalidRequest, Unavailable


class EmbeddingUnavailable(Unavailable):
    """No vectors for now; the sentence is for users and tells operators where to look."""

    code = "EMBEDDING_UNAVAILABLE"


class QueryRefused(InvalidRequest):
    """The model works, and gives no vector for what is searched for."""

    code = "QUERY_REFUSED"

    def __init__(self) -> None:
        super().__init__("The embedding model cannot read this text; change or shorten it")


class PassagesRefused(CoreError):
    """The model works, and gives no vectors for these; asking again will not help.

    `refused` are their positions among the texts; `vectors` has a row for each text, which is of zeros
    for these.
    """

    code = "PASSAGES_REFUSED"

    def __init__(self, refused: frozenset[int], vectors: NDArray[np.float32]) -> None:
        super().__init__("The embedding model cannot read some texts")
        self.refused = refused
        self.vectors = vectors


class BatchRefused(Exception):
    """What a backend says when a batch failed and one of its texts may be the reason."""

    def __init__(self, *, too_long: bool = False) -> None:
        super().__init__("too long" if too_long else "refused")
        self.too_long = too_long
