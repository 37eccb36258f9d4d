"""Cosmos DB as dbops reaches it, against an emulator that fails when it is asked to."""

import os
import uuid
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest
from azure.cosmos import PartitionKey

from dbops.config.fields import SecretFile
from dbops.config.model import Cosmos
from dbops.engine import stop
from dbops.errors import AuthenticationFailed, DbopsError, DependencyMissing, Refused, Stopped, Unreachable
from dbops.servers import emulator
from dbops.servers.emulator import Server
from dbops.stores import cosmos
from dbops.stores.azure import Conflict, Exists, Missing, Throttled, TooLarge
from dbops.stores.cosmos import Container, ContinuationLost, Database
from dbops.stores.wire import Wire

Faulty = Callable[..., None]
_COUNT = 300
WHOLE: dict[str, Any] = {"Range": {"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}}


def place(server: Server, **changes: Any) -> Cosmos:
    wanted: dict[str, Any] = {"endpoint": emulator.url(server), "database": "workflows", "key": "${COSMOS_KEY}"}
    return Cosmos(**wanted | changes)


@pytest.fixture
def database(cosmos_server: Server) -> Generator[Database]:
    with cosmos.connect(place(cosmos_server), target="w") as database:
        yield database


@pytest.fixture
def container(database: Database) -> Generator[Container]:
    """A container with documents in three physical partitions."""
    name = f"c{uuid.uuid4().hex[:8]}"
    database.proxy.create_container(name, PartitionKey(path="/ws"))
    made = database.container(name)
    for number in range(0, _COUNT, 100):
        for ws in range(10):
            operations = [
                ("create", ({"id": f"{n:04}", "ws": f"ws{ws}", "n": n},))
                for n in range(number, number + 100)
                if n % 10 == ws
            ]
            made.batch(operations, f"ws{ws}")
    yield made
    database.proxy.delete_container(name)


@pytest.fixture
def faults(cosmos_server: Server) -> Generator[Faulty]:
    """Wish for faults, until the test ends."""

    def wish(*rules: dict[str, Any]) -> None:
        emulator.inject(cosmos_server, *rules)

    yield wish
    emulator.inject(cosmos_server)


def ids(pages: Any) -> list[str]:
    return [document["id"] for page in pages for document in page.documents]


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────


def test_an_account_tells_what_it_is(database: Database) -> None:
    account = database.account()
    assert account.consistency == "Session"
    assert len(account.write_regions) == len(account.read_regions) == 1


def test_a_wrong_key_is_told_at_the_first_request(cosmos_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_KEY", "bm90LXRoZS1rZXktYXQtYWxs")
    with (
        pytest.raises(AuthenticationFailed) as told,
        cosmos.connect(place(cosmos_server), target="w"),
    ):
        pass
    assert told.value.target == "w"
    assert "bm90LXRoZS1rZXktYXQtYWxs" not in f"{told.value.message} {told.value.hint}"


def test_a_key_that_is_no_key_is_told_too(cosmos_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_KEY", "not base64!")
    with pytest.raises(AuthenticationFailed), cosmos.connect(place(cosmos_server), target="w"):
        pass


def test_a_database_that_is_not_there_is_told_with_the_nearest_name(cosmos_server: Server) -> None:
    with (
        pytest.raises(Missing, match="no database 'workflow'") as told,
        cosmos.connect(place(cosmos_server, database="workflow"), target="w"),
    ):
        pass
    assert told.value.hint == "did you mean 'workflows'?"


def test_a_container_that_is_not_there_is_told_with_the_nearest_name(database: Database, container: Container) -> None:
    with pytest.raises(Missing, match="no container") as told:
        database.container(f"{container.name}x")
    assert told.value.hint == f"did you mean {container.name!r}?"


def test_nobody_at_the_address_is_told_at_once(cosmos_server: Server) -> None:
    with (
        pytest.raises(Unreachable, match="the connection was refused"),
        cosmos.connect(place(cosmos_server, endpoint="http://127.0.0.1:9"), target="w"),
    ):
        pass


def test_an_account_that_fails_while_it_is_opened_is_not_asked_again_and_again(
    cosmos_server: Server, faults: Faulty
) -> None:
    faults({"status": 503, "times": 1})  # the second request would succeed
    with pytest.raises(Unreachable, match="answers 503"), cosmos.connect(place(cosmos_server), target="w"):
        pass


def test_a_key_in_a_file_is_as_good(cosmos_server: Server, folder: Any) -> None:
    (folder / "key").write_text(f"{os.environ['COSMOS_KEY']}\n")
    (folder / "key").chmod(0o600)
    with cosmos.connect(place(cosmos_server, key=SecretFile(file=folder / "key")), target="w") as opened:
        assert opened.account().consistency == "Session"


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


def test_the_ranges_hold_every_document_once(container: Container) -> None:
    ranges = container.ranges()
    assert len(ranges) == 3
    found = [one for within in ranges for one in ids(container.pages(within=within, size=17))]
    assert sorted(found) == [f"{n:04}" for n in range(_COUNT)]


def test_reading_goes_on_behind_any_page(container: Container) -> None:
    for within in container.ranges():
        whole = list(container.pages(within=within, size=30))
        for number, page in enumerate(whole[:-1]):
            rest = container.pages(within=within, continuation=page.continuation, size=30)
            assert ids(rest) == ids(whole[number + 1 :])
        assert whole[-1].continuation is None


def test_a_query_has_parameters_and_a_partition(container: Container) -> None:
    query = "SELECT * FROM c WHERE c.n >= @least"
    assert ids(container.pages(query, {"least": 290}, partition_key="ws5")) == ["0295"]
    assert sorted(ids(container.pages(query, {"least": 298}))) == ["0298", "0299"]


def test_a_continuation_that_is_not_understood_is_an_error_and_no_quiet_restart(container: Container) -> None:
    with pytest.raises(ContinuationLost) as told:
        list(container.pages(within=WHOLE, continuation="from-before-a-split"))
    assert told.value.target == "w"


def test_a_continuation_of_another_query_is_an_error(container: Container) -> None:
    page = next(iter(container.pages(within=WHOLE, size=10)))
    with pytest.raises(ContinuationLost):
        list(container.pages("SELECT c.id FROM c", within=WHOLE, continuation=page.continuation))


def test_the_change_feed_begins_at_the_beginning_and_goes_on_later(container: Container) -> None:
    found: list[str] = []
    last: dict[int, Any] = {}
    for number, within in enumerate(container.ranges()):
        for page in container.changes(within=within, size=40):
            found += [document["id"] for document in page.documents]
            last[number] = page.continuation
    assert sorted(found) == [f"{n:04}" for n in range(_COUNT)]
    container.proxy.upsert_item({"id": "0007", "ws": "ws7", "n": -1})
    again = [one for continuation in last.values() for one in ids(container.changes(continuation=continuation))]
    assert again == ["0007"]


def test_a_request_to_stop_is_heard_between_pages(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = container.pages(size=10)
    next(pages)
    monkeypatch.setattr(stop, "_signal_number", 15)
    with pytest.raises(Stopped):
        next(pages)


def test_a_partition_that_splits_during_a_read_loses_and_doubles_nothing(container: Container, faults: Faulty) -> None:
    found: list[str] = []
    for within in container.ranges():
        for number, page in enumerate(container.pages(within=within, size=8)):
            found += [document["id"] for document in page.documents]
            if number in {0, 2}:  # the second time, one of the halves
                faults({"kind": "split", "path": container.name})
    assert sorted(found) == [f"{n:04}" for n in range(_COUNT)]
    assert len(container.ranges()) > 5


def test_a_continuation_from_before_a_split_goes_on_behind_it(container: Container, faults: Faulty) -> None:
    found: list[str] = []
    stopped: list[tuple[Any, str | None]] = []
    for within in container.ranges():
        page = next(container.pages(within=within, size=20))
        found += [document["id"] for document in page.documents]
        stopped.append((within, page.continuation))
    for within, continuation in stopped:
        faults({"kind": "split", "path": container.name})
        pages = container.pages(within=within, continuation=continuation, size=10)
        later = next(pages)
        found += [document["id"] for document in later.documents]
        found += ids(container.pages(within=within, continuation=later.continuation, size=10))
    assert sorted(found) == [f"{n:04}" for n in range(_COUNT)]


def test_a_partition_that_splits_during_the_change_feed_changes_nothing(container: Container, faults: Faulty) -> None:
    found: list[str] = []
    for within in container.ranges():
        pages = container.changes(within=within, size=20)
        found += ids([next(pages)])
        faults({"kind": "split", "path": container.name})
        found += ids(pages)
    assert sorted(found) == [f"{n:04}" for n in range(_COUNT)]


# ── Cost and throttling ──────────────────────────────────────────────────────────────────────────


def test_what_a_connection_costs_adds_up(database: Database, container: Container) -> None:
    before = database.spent.charge
    charges: list[float] = []
    container.proxy.read_item(
        "0001", "ws1", response_hook=lambda headers, _: charges.append(float(headers["x-ms-request-charge"]))
    )
    assert charges[0] > 0
    assert database.spent.charge == pytest.approx(before + charges[0])  # pyright: ignore[reportUnknownMemberType]


def test_throttling_that_ends_is_waited_out_and_told(database: Database, container: Container, faults: Faulty) -> None:
    before = database.spent.throttled
    faults({"method": "GET", "path": "/docs/0001", "status": 429, "headers": {"x-ms-retry-after-ms": "20"}, "times": 4})
    assert container.proxy.read_item("0001", "ws1")["n"] == 1
    assert database.spent.throttled == before + 4
    assert database.spent.last_retry_after == timedelta(milliseconds=20)
    assert database.spent.waited >= timedelta(milliseconds=80)


def test_throttling_for_ever_is_told_with_a_way_out(
    cosmos_server: Server, container: Container, faults: Faulty
) -> None:
    faults({"path": "/docs/", "status": 429, "headers": {"x-ms-retry-after-ms": "20"}, "times": -1})
    with cosmos.connect(place(cosmos_server), target="w", timeout=timedelta(milliseconds=500)) as opened:
        mine = opened.container(container.name)
        with pytest.raises(Throttled) as told:
            mine.proxy.read_item("0001", "ws1")
    assert "throughput" in str(told.value.hint)


def test_a_request_to_stop_ends_the_wait_for_a_busy_service(
    container: Container, faults: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults({"path": "/docs/", "status": 429, "headers": {"x-ms-retry-after-ms": "20000"}, "times": -1})
    monkeypatch.setattr(stop, "_signal_number", 15)
    with pytest.raises(Stopped):
        container.proxy.read_item("0001", "ws1")


# ── Failures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, DbopsError), (403, Refused), (409, Exists), (412, Conflict), (413, TooLarge), (501, DependencyMissing)],
)
def test_each_failure_of_a_request_is_one_of_ours(
    container: Container, faults: Faulty, status: int, kind: type[DbopsError]
) -> None:
    faults({"path": "/docs/", "status": status, "times": -1, "body": {"code": "X", "message": "as wished"}})
    with pytest.raises(DbopsError, match="as wished") as told, cosmos.translated("w"):
        container.proxy.read_item("0001", "ws1")
    assert type(told.value) is kind


def test_a_line_that_breaks_during_a_read_is_mended(container: Container, faults: Faulty) -> None:
    faults({"path": "/docs", "cut": 50, "times": 1})
    assert len(ids(container.pages(size=1000))) == _COUNT


def test_a_write_whose_answer_was_lost_is_told_as_open(container: Container, faults: Faulty) -> None:
    faults({"method": "POST", "path": "/docs", "cut": 0, "applied": True})
    with pytest.raises(Unreachable) as told, cosmos.translated("w"):
        container.proxy.create_item({"id": "lost", "ws": "ws1"})
    assert "may have arrived" in str(told.value.hint)
    assert container.proxy.read_item("lost", "ws1")["id"] == "lost"


def test_the_operation_that_a_batch_failed_at_is_named(container: Container) -> None:
    operations: list[tuple[Any, ...]] = [
        ("create", ({"id": "new", "ws": "ws1"},)),
        ("create", ({"id": "0001", "ws": "ws1"},)),
    ]
    with pytest.raises(Exists, match="operation 1 of the batch"):
        container.batch(operations, "ws1")


def test_an_etag_of_yesterday_is_a_conflict(container: Container) -> None:
    old = container.proxy.read_item("0001", "ws1")
    container.proxy.upsert_item(dict(old) | {"n": 5})
    operations: list[tuple[Any, ...]] = [("replace", ("0001", dict(old)), {"if_match_etag": old["_etag"]})]
    with pytest.raises(Conflict):
        container.batch(operations, "ws1")


def test_a_connection_that_fails_while_it_is_opened_is_closed(
    cosmos_server: Server, faults: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Wire] = []
    close = Wire.close

    def noticed(wire: Wire) -> None:
        closed.append(wire)
        close(wire)

    monkeypatch.setattr(Wire, "close", noticed)
    faults({"path": "^/$", "status": 403})
    with pytest.raises(Refused), cosmos.connect(place(cosmos_server), target="t"):
        pass
    assert len(closed) == 1
