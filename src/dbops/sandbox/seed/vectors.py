"""Embeddings as a model would give them: unit vectors of 1536 numbers, near one another where the topic is the same.

Plain arithmetic of IEEE 754 alone, added up exactly: every machine gets the same digits.
"""

import math
from functools import lru_cache

from dbops.sandbox.seed.world import World

DIMENSIONS = 1536
_DIGITS = 6


def vector(world: World, about: str, key: str) -> list[float]:
    roll = world.chance(f"vector/{key}").random
    mixed = [topic + roll() - 0.5 for topic in _topic(world, about)]
    length = math.sqrt(math.fsum(one * one for one in mixed))
    return [round(one / length, _DIGITS) for one in mixed]


@lru_cache
def _topic(world: World, about: str) -> tuple[float, ...]:
    roll = world.chance(f"topic/{about}").random
    return tuple(roll() - 0.5 for _ in range(DIMENSIONS))
