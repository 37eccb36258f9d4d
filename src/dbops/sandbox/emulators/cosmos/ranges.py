"""The physical partitions of a container, as clients learn of them and of their splits."""

import orjson

from dbops.sandbox.emulators.cosmos.answers import listing, raw
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.web import Reply, Request


def listed(request: Request, container: Container) -> Reply:
    """Answer the physical partitions; whoever knows the newest already gets 304."""
    etag = f'"{max(each.number for each in container.ranges)}"'
    known = request.headers.get("if-none-match")
    if known == etag:
        return raw(304, b"", 1.0, (("etag", etag),))
    first = int(known.strip('"')) + 1 if known is not None and known.strip('"').isdigit() else 0
    shown = [
        {
            "_rid": f"{container.rid}{each.number:08x}",
            "id": str(each.number),
            "_etag": etag,
            "minInclusive": each.low,
            "maxExclusive": each.high,
            "ridPrefix": each.number,
            "_self": f"{container.link}pkranges/{each.number}/",
            "throughputFraction": 1 / len(container.ranges),
            "status": "online",
            "parents": [str(parent) for parent in each.parents],
            "_ts": container.definition["_ts"],
        }
        for each in container.ranges
        if each.number >= first
    ]
    body, count = listing(container.rid, "PartitionKeyRanges", [orjson.dumps(each) for each in shown])
    return raw(200, body, 1.0, (("etag", etag), ("x-ms-item-count", str(count))))
