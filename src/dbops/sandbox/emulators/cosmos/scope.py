"""Which part of a container a request is about, and what session it belongs to."""

from dataclasses import dataclass

from dbops.sandbox.emulators.cosmos import keys
from dbops.sandbox.emulators.cosmos.answers import Headers, Refused
from dbops.sandbox.emulators.cosmos.containers import Container, Range
from dbops.sandbox.emulators.cosmos.keys import Key

GONE = 1002
_SESSION_AHEAD = 1002
_OTHER_CONTAINER = 1024
_STRONGER = frozenset({"strong", "boundedstaleness"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Hashes from `low` up to `high`, without it; or one logical partition."""

    low: str
    high: str
    key: Key | None = None


def of(headers: dict[str, str], container: Container) -> Scope | None:
    """Read which part is meant; None: nothing was said."""
    named = headers.get("x-ms-documentdb-partitionkey")
    number = headers.get("x-ms-documentdb-partitionkeyrangeid")
    if named is not None:
        components = keys.of_header(named)
        if 0 < len(components) < len(container.scheme.paths):
            low, high = container.scheme.prefix(components)
            return _cut(headers, Scope(low, high))
        key = container.scheme.key(components)
        return Scope(key.epk, key.epk, key)
    if number is not None:
        found = living(container, number)
        return _cut(headers, Scope(found.low, found.high))
    if "x-ms-start-epk" in headers:
        return _cut(headers, Scope("", "FF"))
    return None


def _cut(headers: dict[str, str], scope: Scope) -> Scope:
    low, high = headers.get("x-ms-start-epk", scope.low), headers.get("x-ms-end-epk", scope.high)
    return Scope(max(low, scope.low), min(high, scope.high))


def living(container: Container, number: str) -> Range:
    """Find a physical partition by its number; one that was split is gone, and the client has to look again."""
    wanted = number.rpartition(",")[2]
    for each in container.ranges:
        if str(each.number) == wanted:
            return each
    raise Refused(410, f"The requested resource is no longer available: range {wanted}.", substatus=GONE)


def key_of(headers: dict[str, str], container: Container) -> Key | None:
    """Read the partition key of a point operation."""
    named = headers.get("x-ms-documentdb-partitionkey")
    return None if named is None else keys.named(container.scheme, named)


def must_have_key(headers: dict[str, str], container: Container) -> Key:
    key = key_of(headers, container)
    if key is None:
        raise Refused(400, "PartitionKey value must be supplied for this operation.")
    return key


def check(headers: dict[str, str], container: Container, last: int) -> None:
    """Refuse requests meant for a container that was dropped and made anew, or for a later state than ours."""
    intended = headers.get("x-ms-cosmos-intended-collection-rid")
    if intended and intended != container.rid:
        raise Refused(400, "Collection rid does not match the intended one.", substatus=_OTHER_CONTAINER)
    level = headers.get("x-ms-consistency-level", "")
    if level.lower() in _STRONGER:
        raise Refused(400, f"ConsistencyLevel {level} specified in the request is invalid: the account has Session.")
    token = headers.get("x-ms-session-token")
    if token:
        _check_session(token, last)


def _check_session(token: str, last: int) -> None:
    for part in token.split(","):
        text = part.rpartition(":")[2].split("#")
        number = text[1] if len(text) > 1 else text[0]
        if not number.lstrip("-").isdigit():
            raise Refused(400, f"The session token provided '{token}' is invalid.")
        if int(number) > last:
            raise Refused(
                404, "The read session is not available for the input session token.", substatus=_SESSION_AHEAD
            )


def session(container: Container, where: Range, last: int) -> Headers:
    """Tell the client how far it has seen this range."""
    number = str(where.number)
    return (
        ("x-ms-session-token", f"{number}:0#{last}"),
        ("x-ms-documentdb-partitionkeyrangeid", number),
        ("x-ms-alt-content-path", container.name),
    )
