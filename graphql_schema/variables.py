"""Variables of operations: how much they may hold."""


def has_more_values(variables: object, most: int) -> bool:
    """Whether `variables` hold more than `most` values, those inside lists and objects included."""
    count = 0
    waiting = [variables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        count += 1
        if count + len(waiting) > most + 1:
            return True
    return False
