"""Azure Cosmos DB: how an account is reached, what reading it costs, and how its errors are told.

Pages come with the continuation that leads on from them. Two traps of the library are closed here: it starts a
range from its beginning when it does not understand a continuation, and a change feed begins at "now" unless told.
"""

import base64
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from azure.core.exceptions import AzureError, ClientAuthenticationError, DecodeError
from azure.cosmos import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosClientTimeoutError, CosmosHttpResponseError

from dbops.config.load import resolve
from dbops.config.model import Cosmos
from dbops.engine import stop
from dbops.errors import AuthenticationFailed, CouldNotVerify, DbopsError, Refused, Unreachable
from dbops.redact import redact
from dbops.stores import azure, cosmos_ranges
from dbops.stores.azure import Missing, Words
from dbops.stores.cosmos_ranges import ContinuationLost, FeedRange
from dbops.stores.wire import Patience, Spent, Wire

PAGE = 1000
Document = dict[str, Any]

_WORDS = Words(
    name="Cosmos DB",
    forbidden=Refused,
    forbidden_hint="give the identity a data role of this account, or let its firewall know this address",
    throttled_hint="raise the throughput (RU/s) of the container, or run when the application is quiet",
)
_BUSY = frozenset({429})


@dataclass(frozen=True, slots=True)
class Account:
    """What an account says of itself."""

    consistency: str
    write_regions: tuple[str, ...]
    read_regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, and where to go on behind them; without a continuation nothing is left."""

    documents: list[Document]
    continuation: str | None


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its definition as the service tells it, and the library's own access to its items."""

    name: str
    definition: Mapping[str, Any]
    proxy: ContainerProxy
    target: str

    def ranges(self) -> tuple[FeedRange, ...]:
        """Return the parts that can be read side by side: today's physical partitions."""
        with translated(self.target):
            return tuple(self.proxy.read_feed_ranges(force_refresh=True))

    def pages(
        self,
        query: str = "SELECT * FROM c",
        parameters: Mapping[str, Any] | None = None,
        *,
        within: FeedRange | None = None,
        partition_key: Any = None,
        continuation: str | None = None,
        size: int = PAGE,
    ) -> Iterator[Page]:
        """Read page by page: one range, one logical partition, or everything.

        Reading a range goes on when its partition is split meanwhile, and behind a continuation from before. Where
        it cannot (the query sorts or counts), ContinuationLost ends it: what came of this range is worth nothing.
        """
        if within is not None:
            yield from self._range(query, parameters, within, continuation, size)
            return
        one: dict[str, Any] = {} if partition_key is None else {"partition_key": partition_key}
        yield from self._asked(query, parameters, one or {"enable_cross_partition_query": True}, continuation, size)

    def _asked(
        self, query: str, parameters: Mapping[str, Any] | None, scope: Mapping[str, Any], token: str | None, size: int
    ) -> Iterator[Page]:
        told: list[dict[str, object]] = [
            {"name": f"@{name}", "value": value} for name, value in (parameters or {}).items()
        ]
        with translated(self.target):
            paged: Any = self.proxy.query_items(query, told, max_item_count=size, **scope)  # pyright: ignore[reportUnknownMemberType]
            yield from _paged(paged, token)

    def _range(
        self, query: str, parameters: Mapping[str, Any] | None, within: FeedRange, continuation: str | None, size: int
    ) -> Iterator[Page]:
        known = cosmos_ranges.fingerprint(query, parameters)
        with translated(self.target):
            todo = cosmos_ranges.read(within, continuation, known)
        while todo:
            part, *rest = todo
            try:
                for page in self._asked(query, parameters, {"feed_range": part.range}, part.token, size):
                    part = cosmos_ranges.Part(part.range, page.continuation)
                    left = rest if part.token is None else [part, *rest]
                    yield Page(page.documents, cosmos_ranges.written(left, known))
                todo = rest
            except ContinuationLost:
                pieces = cosmos_ranges.children(part, self.ranges())
                if len(pieces) < 2 or not cosmos_ranges.goes_on_in_parts(query):
                    raise
                todo = [*pieces, *rest]

    def changes(
        self,
        *,
        within: FeedRange | None = None,
        continuation: str | None = None,
        since: datetime | None = None,
        size: int = PAGE,
    ) -> Iterator[Page]:
        """Read the latest version of what changed, from the beginning, from a moment or behind a continuation.

        Each page has a continuation, the last one too: from there a later call goes on. Deletions are not told.
        """
        start: dict[str, Any] = {"continuation": continuation}
        if continuation is None:
            start = {"start_time": since or "Beginning"} | ({} if within is None else {"feed_range": within})
        with translated(self.target):
            paged: Any = self.proxy.query_items_change_feed(max_item_count=size, **start)
            yield from _paged(paged, None)

    def batch(self, operations: Sequence[tuple[Any, ...]], partition_key: Any) -> list[dict[str, Any]]:
        """Apply up to 100 operations of one logical partition, all or none."""
        with translated(self.target):
            return cast(
                "list[dict[str, Any]]", self.proxy.execute_item_batch(list(operations), partition_key=partition_key)
            )


def _paged(paged: Any, continuation: str | None) -> Iterator[Page]:
    pages = paged.by_page(continuation)
    while True:
        heeded = _heeded.set(True)
        try:
            documents = cast("list[Document]", list(next(pages)))
        except StopIteration:
            return
        finally:
            _heeded.reset(heeded)
        yield Page(documents, pages.continuation_token)
        stop.check()


@dataclass(frozen=True, slots=True)
class Database:
    """A connection to one database of an account."""

    name: str
    client: CosmosClient
    proxy: DatabaseProxy
    target: str
    spent: Spent

    def account(self) -> Account:
        with translated(self.target):
            told = self.client.get_database_account()  # pyright: ignore[reportUnknownMemberType]
        consistency = str((told.ConsistencyPolicy or {}).get("defaultConsistencyLevel", "unknown"))
        regions = (tuple(one["name"] for one in found) for found in (told.WritableLocations, told.ReadableLocations))
        return Account(consistency, *regions)

    def containers(self) -> tuple[Mapping[str, Any], ...]:
        """Return the definitions of all containers."""
        with translated(self.target):
            return tuple(self.proxy.list_containers())

    def container(self, name: str) -> Container:
        proxy = self.proxy.get_container_client(name)
        try:
            with translated(self.target):
                return Container(name, dict(proxy.read()), proxy, self.target)
        except Missing as error:
            known = [str(one["id"]) for one in self.containers()]
            message = f"there is no container {name!r} in the database {self.name!r}"
            raise Missing(message, hint=azure.nearest(name, known), target=self.target) from error


@contextmanager
def connect(place: Cosmos, *, target: str, timeout: timedelta | None = None) -> Generator[Database]:
    """Open the database of a target; errors inside are told in our own words. `timeout` is for each answer."""
    azure.quiet()
    endpoint = resolve(place.endpoint, target=target)
    patience = Patience.within(timeout)
    wire = Wire(_WORDS, patience, target=target, root_cert=place.root_cert, busy=_BUSY, resends=False)
    signed_in = azure.signed_in(place, endpoint, target=target, within=timeout)
    with translated(target), closing(wire), signed_in as credential:
        _refuse_what_is_no_key(credential, target)
        with wire.opening():
            client = CosmosClient(endpoint, credential, transport=wire, **_retries(patience))
        try:
            yield _database(client, resolve(place.database, target=target), target, wire.spent)
        finally:
            client.close()


def _refuse_what_is_no_key(credential: Any, target: str) -> None:
    """The library would stumble over it when it signs the first request."""
    if isinstance(credential, str):
        try:
            base64.b64decode(credential)
        except ValueError as error:
            hint = "the account's keys are base64 and end with '=='"
            raise AuthenticationFailed("its key is no key of a Cosmos DB account", hint=hint, target=target) from error


def _retries(patience: Patience) -> dict[str, Any]:
    """Bound what the library tries again by itself: lines that broke; throttling is the wire's."""
    total = patience.resends
    return {
        **dict.fromkeys(("retry_total", "retry_connect", "retry_read", "retry_status"), total),
        "retry_backoff_factor": 0.5,
        "retry_backoff_max": 5,
        "connection_timeout": patience.connect.total_seconds(),
        "read_timeout": patience.answer.total_seconds(),
    }


def _database(client: CosmosClient, name: str, target: str, spent: Spent) -> Database:
    proxy = client.get_database_client(name)
    try:
        with translated(target):
            proxy.read()
    except Missing as error:
        hint = None
        with suppress(DbopsError), translated(target):  # a role of this database alone may not list the others
            hint = azure.nearest(name, [str(one["id"]) for one in client.list_databases()])
        raise Missing(f"there is no database {name!r} in this account", hint=hint, target=target) from error
    return Database(name, client, proxy, target, spent)


_heeded = ContextVar("heeded", default=False)  # while a page of ours is read: who else uses the library is not minded


class _Tripwire(logging.Handler):
    """Turn the library's quiet restart into an error: an export would hold the first pages twice, and a count lies."""

    def emit(self, record: logging.LogRecord) -> None:
        if _heeded.get() and "restarting this feed_range query from the beginning" in record.getMessage():
            raise ContinuationLost(
                "the continuation of this range is not understood any more (its partition was split?)",
                hint="read the range from its beginning again",
            )


logging.getLogger("azure.cosmos._cosmos_client_connection").addHandler(_Tripwire(logging.WARNING))


@contextmanager
def translated(target: str) -> Generator[None]:
    """Turn azure-cosmos' errors into ours, each with its exit code and what to do next."""
    try:
        yield
    except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
        raise _told(error, target) from error
    except CosmosClientTimeoutError as error:
        raise Unreachable("it took too long", hint="try again", target=target) from error
    except ClientAuthenticationError as error:
        raise AuthenticationFailed(azure.first_line(redact(str(error))), target=target) from error
    except DecodeError as error:
        raise CouldNotVerify(f"its answer is not understood: {azure.first_line(str(error))}", target=target) from error
    except AzureError as error:
        raise azure.no_answer(error, target=target) from error
    except ContinuationLost as error:
        error.target = error.target or target
        raise
    except ValueError as error:
        if "ontinuation token was created" in str(error):
            raise ContinuationLost(str(error), hint="read the range from its beginning again", target=target) from error
        raise


def _told(error: CosmosHttpResponseError | CosmosBatchOperationError, target: str) -> DbopsError:
    status, said, index = (getattr(error, name, None) for name in ("status_code", "http_error_message", "error_index"))
    told = azure.failure(int(status or 0), str(said or error), _WORDS, target=target)
    if index is None:
        return told
    return type(told)(f"operation {index} of the batch: {told.message}", hint=told.hint, target=target)
