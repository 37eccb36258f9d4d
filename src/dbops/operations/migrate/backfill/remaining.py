"""How many rows of a walk are left; pure.

Two things tell it: how many rows the table should have less those that were seen, and how much of the key's range is
still ahead. Statistics grow stale, and rows may lie thin or thick: what was seen so far corrects the one by the other.
"""


def left(total: int, seen: int, fraction: float | None) -> int:
    """Weigh the estimate of before against what was met, the more the further the walk has come.

    `fraction` is the share of the key's range that is done; None, or all of it, where the statistics tell no more.
    """
    if fraction is None or not 0 < fraction < 1:
        return max(0, total - seen)
    whole = (1 - fraction) * total + seen  # at first what was estimated, at the end what was seen
    return max(0, round((1 - fraction) * whole))


def percent(seen: int, still: int) -> int:
    """Tell how far it is; all of it only when it has ended."""
    return min(99, 100 * seen // max(1, seen + still))
