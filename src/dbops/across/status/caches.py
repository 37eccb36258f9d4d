"""One row for each Redis: its role, its memory, its keys."""

import re
from datetime import timedelta

from dbops.across.status.facts import Status
from dbops.config.model import Redis
from dbops.engine import clock
from dbops.stores import redis


def look(name: str, place: Redis, deadline: timedelta) -> Status:
    began = clock.monotonic()
    with redis.connect(place, target=name, timeout=deadline) as client:
        info = client.info()  # pyright: ignore[reportUnknownMemberType]
        latency = timedelta(seconds=clock.monotonic() - began)
    keys = sum(int(told["keys"]) for section, told in info.items() if re.fullmatch(r"db\d+", section))
    facts = {"role": info["role"], "memory_bytes": info["used_memory"], "keys": keys}
    return Status(name, "redis", "ok", latency, str(info["redis_version"]), facts)
