"""What was used lately, within a bound."""

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """Values by key; beyond `most` of summed-up sizes, those that were not used for longest are dropped."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._items: OrderedDict[str, tuple[Value, int]] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """The value of this key, if it is still there."""
        found = self._items.get(key)
        if found is None:
            return None
        self._items.move_to_end(key)
        return found[0]

    def put(self, key: str, value: Value, *, size: int) -> None:
        """Keep a value of this size; one that is larger than all that is kept is not."""
        if size > self._most:
            return
        _, replaced = self._items.pop(key, (None, 0))
        self._items[key] = (value, size)
        self._size += size - replaced
        while self._size > self._most:
            _, (_, dropped) = self._items.popitem(last=False)
            self._size -= dropped
