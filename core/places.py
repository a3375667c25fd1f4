"""Limits on how much of something there is at a time, such as open connections of one user."""

from collections import Counter


class Places:
    """Counts what is taken, by key, in this process."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    async def take(self, key: str, most: int) -> bool:
        """Take one of `most` places; False, with nothing taken, if there is none. Each is to be released."""
        if self._taken[key] >= most:
            return False
        self._taken[key] += 1
        return True

    def release(self, key: str) -> None:
        """Give back a place that was taken."""
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]
