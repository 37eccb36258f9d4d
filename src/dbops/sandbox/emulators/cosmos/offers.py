"""Throughput: what a database or a container was provisioned with, by hand or by autoscale."""

from dataclasses import dataclass
from typing import Any

import orjson

from dbops.sandbox.emulators.cosmos import shapes
from dbops.sandbox.emulators.cosmos.answers import Refused, not_found
from dbops.sandbox.emulators.cosmos.tables import Tables

LEAST = 400
_LEAST_AUTOSCALE = 1_000
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    throughput: int
    autoscale: dict[str, Any] | None = None


def wish(headers: dict[str, str]) -> Wish | None:
    """Read what a create asks for; refuses amounts that the service does not sell."""
    autoscale, amount = headers.get("x-ms-cosmos-offer-autopilot-settings"), headers.get("x-ms-offer-throughput")
    if autoscale is not None:
        if amount is not None:
            raise Refused(400, "Either throughput or autoscale settings can be given, not both.")
        settings = _object(autoscale)
        return Wish(_autoscale(settings), settings)
    if amount is None:
        return None
    return Wish(_manual(int(amount) if amount.isdigit() else amount))


def _object(text: str) -> dict[str, Any]:
    try:
        read = orjson.loads(text)
    except ValueError:
        read = None
    return shapes.an_object(read, "x-ms-cosmos-offer-autopilot-settings")


def _manual(amount: Any) -> int:
    if not isinstance(amount, int) or not LEAST <= amount <= _MOST or amount % 100:
        raise Refused(400, f"The throughput {amount} is invalid: {LEAST} to {_MOST}, in steps of 100.")
    return amount


def _autoscale(settings: dict[str, Any]) -> int:
    most = settings.get("maxThroughput")
    if not isinstance(most, int) or not _LEAST_AUTOSCALE <= most <= _MOST or most % 1_000:
        raise Refused(400, f"The autoscale maximum {most} is invalid: {_LEAST_AUTOSCALE} to {_MOST}, steps of 1000.")
    return most


def _content(wanted: Wish) -> dict[str, Any]:
    content: dict[str, Any] = {"offerThroughput": wanted.throughput, "offerIsRUPerMinuteThroughputEnabled": False}
    if wanted.autoscale is not None:
        # The present throughput of an idle autoscale offer is a tenth of its maximum.
        content |= {"offerThroughput": wanted.throughput // 10, "offerAutopilotSettings": wanted.autoscale}
    return content


def insert(tables: Tables, owner: dict[str, Any], wanted: Wish) -> None:
    """Keep the offer of a new resource, within the transaction that makes it."""
    number = tables.next()
    rid = f"{number:08x}"  # clients sign it in small letters
    body = {
        "id": rid,
        "_rid": rid,
        "_self": f"offers/{rid}/",
        "_etag": f'"{number:08x}"',
        "_ts": owner["_ts"],
        "resource": owner["_self"],
        "offerResourceId": owner["_rid"],
        "offerType": "Invalid",
        "offerVersion": "V2",
        "content": _content(wanted),
    }
    tables.sql.execute("INSERT INTO offers VALUES (?, ?, ?)", (rid, owner["_self"], orjson.dumps(body)))


def delete(tables: Tables, resource: str) -> None:
    tables.sql.execute("DELETE FROM offers WHERE resource = ?", (resource,))


def of(tables: Tables, resource: str) -> dict[str, Any] | None:
    row = tables.sql.execute("SELECT body FROM offers WHERE resource = ?", (resource,)).fetchone()
    return None if row is None else orjson.loads(row[0])


def listed(tables: Tables) -> list[dict[str, Any]]:
    return [orjson.loads(body) for (body,) in tables.sql.execute("SELECT body FROM offers ORDER BY rid")]


def read(tables: Tables, rid: str) -> dict[str, Any]:
    row = tables.sql.execute("SELECT body FROM offers WHERE rid = ?", (rid.lower(),)).fetchone()
    if row is None:
        raise not_found(f"offer {rid}")
    return orjson.loads(row[0])


def replace(tables: Tables, rid: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change an amount. By hand stays by hand, and autoscale autoscale, as long as nobody migrates the offer."""
    before = read(tables, rid)
    content = shapes.an_object(body.get("content"), "content")
    settings = content.get("offerAutopilotSettings")
    if settings is not None:
        settings = shapes.an_object(settings, "offerAutopilotSettings")
    if (settings is None) != ("offerAutopilotSettings" not in before["content"]):
        raise Refused(400, "An offer changes between manual and autoscale by a migration only.")
    manual = settings is None
    new = Wish(_manual(content.get("offerThroughput"))) if manual else Wish(_autoscale(settings), settings)
    with tables.transaction():
        after = {**before, "content": _content(new), "_etag": f'"{tables.next():08x}"'}
        tables.sql.execute("UPDATE offers SET body = ? WHERE rid = ?", (orjson.dumps(after), rid.lower()))
    return after
