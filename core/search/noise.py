"""How similar an embedding model finds texts that have nothing to do with each other.

Each model has a band of its own: to E5 any two texts are at 0.75 or more. So what is similar is measured
from there, and not from 0.
"""

from dataclasses import dataclass

import numpy as np

from core.search.embedding import Embedder

# Of a hit: how far above the noise, as a part of the way from there to the best hit; and in deviations.
_PART_OF_THE_BEST = 0.4
_DEVIATIONS = 1.0

# Of twelve subjects; no two have anything in common.
UNRELATED = (
    "The bridge was closed for repairs after the flood.",
    "Как сварить борщ на говяжьем бульоне?",
    "Der Zug nach Hamburg hat zwanzig Minuten Verspätung.",
    "A list comprehension is faster than appending in a loop.",
    "Кот спит на подоконнике и никого не замечает.",
    "Die Versicherung zahlt bei grober Fahrlässigkeit nicht.",
    "She scored twice in the second half of the final.",
    "Скорость света в вакууме постоянна.",
    "Die Tomaten brauchen viel Sonne und wenig Wind.",
    "Please renew your passport before the end of June.",
    "Симфония начинается тихой темой виолончелей.",
    "The quarterly revenue fell by four per cent.",
)


@dataclass(frozen=True, slots=True)
class Noise:
    """Mean and standard deviation of the similarities of texts that are unrelated."""

    mean: float
    deviation: float

    def lowest(self, best: float, least: float) -> float:
        """What a hit must have where the best has `best`, and never less than `least`."""
        relative = best - _PART_OF_THE_BEST * (best - self.mean)
        return max(least, self.mean + _DEVIATIONS * self.deviation, relative)


async def measured(embedder: Embedder) -> tuple[Noise, int]:
    """The model's own, and the length of its vectors. Raises `EmbeddingUnavailable` or `PassagesRefused`."""
    passages = await embedder.embed_passages(UNRELATED)
    queries = np.stack([await embedder.embed_query(text) for text in UNRELATED])
    similarities = queries @ passages.T
    unrelated = similarities[~np.eye(len(UNRELATED), dtype=np.bool_)]
    return Noise(float(unrelated.mean()), float(unrelated.std())), passages.shape[1]
