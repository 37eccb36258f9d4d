"""The change feed: the latest version of each item, in the order of the writes, from wherever the reader stopped."""

from email.utils import parsedate_to_datetime

from dbops.sandbox.emulators.cosmos import scope
from dbops.sandbox.emulators.cosmos.answers import Headers, Refused, charge_of_page, listing, missing, raw
from dbops.sandbox.emulators.cosmos.catalogue import seconds
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.cosmos.scope import Scope
from dbops.sandbox.emulators.cosmos.tables import Tables
from dbops.sandbox.emulators.web import Reply, Request

_INCREMENTAL = "incremental feed"
_LARGEST_PAGE = 4 * 1024 * 1024
# The plus keeps SQLite from looking by the hash: it would have to sort what is in order already.
_BY_RANGE = "+epk >= ? AND +epk < ?"
_BY_KEY = "epk = ? AND pk = ?"


def wanted(request: Request) -> bool:
    return "a-im" in request.headers


def page_size(request: Request) -> int:
    text = request.headers.get("x-ms-max-item-count", "100")
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1 and size != -1:
        raise Refused(400, f"The page size '{text}' is invalid.")
    return 1000 if size == -1 else size


def changes(tables: Tables, container: Container, request: Request) -> Reply:
    """Answer the next page, or 304 at the end: only there, so that a reader never stops too early."""
    if request.headers["a-im"].lower() != _INCREMENTAL:
        raise missing("the change feed mode with all versions and deletes")
    where = scope.of(request.headers, container) or Scope("", "FF")
    after, since = _start(request, tables)
    rows = _rows(tables, container, where, (after, since, page_size(request)))
    lives = container.range_of(where.low)
    session = scope.session(container, lives, tables.last)
    if not rows:
        return raw(304, b"", 1.0, (("etag", f'"{tables.last}"'), *session))
    parts = [body[:-1] + b',"_lsn":%d}' % lsn for lsn, body in rows]
    body, count = listing(container.rid, "Documents", parts)
    head: Headers = (("etag", f'"{rows[-1][0]}"'), ("x-ms-item-count", str(count)), *session)
    return raw(200, body, charge_of_page(len(body), count), head)


def _start(request: Request, tables: Tables) -> tuple[int, int]:
    """Read after which write, and from which second on, the reader wants to know."""
    token = request.headers.get("if-none-match")
    since = request.headers.get("if-modified-since")
    first = 0
    if since is not None:
        try:
            first = int(parsedate_to_datetime(since).timestamp())
        except ValueError as error:
            raise Refused(400, f"If-Modified-Since '{since}' is no date.") from error
    if token is None:
        return 0, first
    number = token.strip('"')
    if number == "*":
        return tables.last, first
    if not number.isdigit():
        raise Refused(400, f"The continuation '{token}' of the change feed is invalid.")
    return int(number), first


def _rows(tables: Tables, container: Container, where: Scope, span: tuple[int, int, int]) -> list[tuple[int, bytes]]:
    after, since, limit = span
    if where.key is None:
        chosen, bounds = _BY_RANGE, (where.low, where.high)
    else:
        chosen, bounds = _BY_KEY, (where.key.epk, where.key.text)
    text = f"""SELECT lsn, body FROM {container.items}
        WHERE lsn > ? AND {chosen} AND ts >= ? AND (expires IS NULL OR expires > ?)
        ORDER BY lsn LIMIT ?"""  # noqa: S608
    rows: list[tuple[int, bytes]] = []
    size = 0
    for lsn, body in tables.sql.execute(text, (after, *bounds, since, seconds(), limit)):
        rows.append((lsn, body))
        size += len(body)
        if size > _LARGEST_PAGE:
            break
    return rows
