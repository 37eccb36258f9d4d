"""AI Search as dbops reaches it, against an emulator that fails when it is asked to."""

import uuid
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest

from dbops.config.model import Search
from dbops.engine import stop
from dbops.errors import AuthenticationFailed, DbopsError, Refused, Stopped, Unreachable
from dbops.servers import emulator
from dbops.servers.emulator import Server
from dbops.stores import search
from dbops.stores.azure import Conflict, Missing, Throttled
from dbops.stores.search import Service
from dbops.stores.search_writes import Failed

Faulty = Callable[..., None]


def place(server: Server, key: str = "${SEARCH_KEY}") -> Search:
    return Search(endpoint=emulator.url(server), key=key)


@pytest.fixture
def service(search_server: Server) -> Generator[Service]:
    with search.connect(place(search_server), target="s") as service:
        yield service


@pytest.fixture
def index(service: Service) -> Generator[str]:
    name = f"i{uuid.uuid4().hex[:8]}"
    service.put("indexes", definition(name))
    yield name
    service.delete("indexes", name)


@pytest.fixture
def faults(search_server: Server) -> Generator[Faulty]:
    """Wish for faults, until the test ends."""

    def wish(*rules: dict[str, Any]) -> None:
        emulator.inject(search_server, *rules)

    yield wish
    emulator.inject(search_server)


def definition(name: str) -> dict[str, Any]:
    key = {"name": "id", "type": "Edm.String", "key": True, "filterable": True, "sortable": True}
    plain = dict.fromkeys(("searchable", "filterable", "sortable", "facetable"), False)
    return {"name": name, "fields": [key, {"name": "text", "type": "Edm.String", **plain}]}


def uploads(count: int, text: str = "x") -> list[dict[str, Any]]:
    return [{"@search.action": "upload", "id": f"k{n:05}", "text": text} for n in range(count)]


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that waits."""

    def wait(seconds: float) -> None:
        raise AssertionError(f"it waits {seconds} s")

    monkeypatch.setattr(stop, "pause", wait)


# ── Signing in ───────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_key_is_12_and_stays_untold(search_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", "certainly-not-this-key")
    with search.connect(place(search_server), target="s") as service, pytest.raises(AuthenticationFailed) as told:
        service.statistics()
    assert told.value.target == "s"
    assert "certainly-not-this-key" not in f"{told.value.message} {told.value.hint}"


def test_a_query_key_reads_and_does_not_list(search_server: Server, service: Service, index: str) -> None:
    service.write(index, uploads(1))
    with search.connect(place(search_server, "${SEARCH_QUERY_KEY}"), target="s") as reader:
        assert reader.count(index) == 1
        with pytest.raises(AuthenticationFailed) as told:
            reader.definitions("indexes")
    assert "admin key" in str(told.value.hint)


def test_nobody_at_the_address_is_told_at_once(no_pause: None) -> None:
    nowhere = Search(endpoint="http://127.0.0.1:9", key="${SEARCH_KEY}")
    with search.connect(nowhere, target="s") as service, pytest.raises(Unreachable, match="refused"):
        service.statistics()


# ── Definitions ──────────────────────────────────────────────────────────────────────────────────


def test_a_definition_comes_back_as_it_was_given(service: Service, index: str) -> None:
    told = service.definition("indexes", index)
    assert [one["name"] for one in told["fields"]] == ["id", "text"]
    assert told["@odata.etag"]
    assert index in [one["name"] for one in service.definitions("indexes", only="name")]


def test_only_the_version_that_was_read_is_replaced(service: Service, index: str) -> None:
    old = service.definition("indexes", index)
    service.put("indexes", old, etag=old["@odata.etag"])
    with pytest.raises(Conflict):
        service.put("indexes", old, etag=old["@odata.etag"])
    with pytest.raises(Conflict):
        service.delete("indexes", index, etag=old["@odata.etag"])
    with pytest.raises(Conflict):
        service.put("indexes", old, new=True)


def test_an_alias_leads_to_an_index(service: Service, index: str) -> None:
    alias = f"{index}-alias"
    service.put("aliases", {"name": alias, "indexes": [index]})
    service.write(index, uploads(3))
    assert service.count(alias) == 3
    service.delete("aliases", alias)
    with pytest.raises(Missing):
        service.definition("aliases", alias)


def test_an_index_that_is_not_there_is_told_with_the_nearest_name(service: Service, index: str) -> None:
    def search_it(name: str) -> None:
        service.search(name, {"search": "*"})

    asks: list[Callable[[str], object]] = [service.count, search_it]
    for ask in asks:
        with pytest.raises(Refused) as told:
            ask(f"{index}x")
        assert told.value.hint == f"did you mean {index!r}?"


def test_what_the_service_refuses_is_told_in_its_words(service: Service, index: str) -> None:
    with pytest.raises(DbopsError, match="answers 400") as told:
        service.search(index, {"search": "*", "filter": "nothing eq 1"})
    assert type(told.value) is DbopsError
    assert "nothing" in told.value.message


# ── Documents ────────────────────────────────────────────────────────────────────────────────────


def test_documents_are_written_and_read(service: Service, index: str) -> None:
    assert service.write(index, uploads(2500)).done == 2500
    assert service.count(index) == 2500
    assert service.document(index, "k00007", only=["id"])["id"] == "k00007"
    with pytest.raises(Missing):
        service.document(index, "nobody")


def test_pages_are_followed_as_the_service_says(service: Service, index: str) -> None:
    service.write(index, uploads(2500))
    pages = list(service.pages(index, {"search": "*", "orderby": "id", "count": True, "top": 2200}))
    assert [len(page.documents) for page in pages] == [1000, 1000, 200]
    assert pages[0].count == 2500
    assert [one["id"] for page in pages for one in page.documents] == [f"k{n:05}" for n in range(2200)]


def test_a_request_to_stop_is_heard_between_pages(
    service: Service, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.write(index, uploads(1500))
    pages = service.pages(index, {"search": "*", "top": 1500})
    next(pages)
    monkeypatch.setattr(stop, "_signal_number", 15)
    with pytest.raises(Stopped):
        next(pages)


def test_the_documents_that_failed_are_told_apart(service: Service, index: str) -> None:
    actions = [*uploads(2), {"@search.action": "merge", "id": "nobody", "text": "y"}]
    written = service.write(index, actions)
    assert written.done == 2
    assert [(one.key, one.status) for one in written.failed] == [("nobody", 404)]


def test_a_document_that_was_only_busy_is_sent_again(
    service: Service, index: str, faults: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_PAUSE", timedelta(0))
    faults({"kind": "document", "path": "^k00003$", "status": 503, "times": 2})
    written = service.write(index, uploads(10))
    assert (written.done, written.failed) == (10, ())
    assert service.count(index) == 10


def test_a_document_that_stays_busy_is_told_in_the_end(
    service: Service, index: str, faults: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_PAUSE", timedelta(0))
    faults({"kind": "document", "path": "^k00003$", "status": 422, "times": -1})
    written = service.write(index, uploads(10))
    assert written.done == 9
    assert [(one.key, one.status) for one in written.failed] == [("k00003", 422)]


def test_of_two_versions_in_one_request_the_later_one_wins(service: Service, index: str, faults: Faulty) -> None:
    faults({"kind": "document", "path": "^k00000$", "status": 503, "times": 1})
    written = service.write(index, [*uploads(1, "old"), *uploads(1, "new")])
    assert (written.done, [one.key for one in written.failed]) == (1, ["k00000"])
    assert service.document(index, "k00000")["text"] == "new"


def test_a_request_that_is_too_large_is_halved(service: Service, index: str, faults: Faulty) -> None:
    faults({"path": "search.index", "status": 413, "times": 3})
    before = service.spent.requests
    written = service.write(index, uploads(100))
    assert (written.done, written.failed) == (100, ())
    assert service.spent.requests - before == 7  # 100, 50, 25 are refused; 12, 13, 25 and 50 go through
    assert service.count(index) == 100


def test_a_document_that_is_too_large_alone_does_not_hold_up_the_others(
    service: Service, index: str, faults: Faulty
) -> None:
    faults({"path": "search.index", "status": 413, "times": 4, "body": {"error": {"message": "too large"}}})
    written = service.write(index, uploads(8))
    assert written.done == 7
    assert written.failed == (Failed("k00000", 413, "AI Search answers 413: too large"),)


def test_documents_of_more_bytes_than_a_request_may_have_go_in_several(service: Service, index: str) -> None:
    before = service.spent.requests
    assert service.write(index, uploads(40, "x" * 1_000_000)).done == 40
    assert service.spent.requests - before == 3


# ── Throttling and broken lines ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"retry-after-ms": "10"}},
        {"status": 429},
        {"status": 503},
        {"cut": 0},
        {"cut": 10},
    ],
)
def test_what_passes_is_waited_out(service: Service, index: str, faults: Faulty, fault: dict[str, Any]) -> None:
    service.write(index, uploads(5))
    faults({"path": "search.post.search", "times": 2, **fault})
    assert len(service.search(index, {"search": "*"}).documents) == 5


def test_throttling_for_ever_is_told_with_a_way_out(search_server: Server, index: str, faults: Faulty) -> None:
    faults({"path": "count", "status": 429, "headers": {"retry-after-ms": "20"}, "times": -1})
    with (
        search.connect(place(search_server), target="s", timeout=timedelta(milliseconds=400)) as hasty,
        pytest.raises(Throttled) as told,
    ):
        hasty.count(index)
    assert "replicas" in str(told.value.hint)
    assert hasty.spent.throttled > 1


def test_a_service_that_wants_us_back_after_our_deadline_is_not_waited_for(
    search_server: Server, index: str, faults: Faulty, no_pause: None
) -> None:
    faults({"path": "count", "status": 429, "headers": {"retry-after": "60"}, "times": -1})
    with (
        search.connect(place(search_server), target="s", timeout=timedelta(seconds=20)) as hasty,
        pytest.raises(Throttled, match="attempt 1;"),
    ):
        hasty.count(index)


def test_a_conditional_change_whose_answer_was_lost_is_not_sent_again(
    service: Service, index: str, faults: Faulty
) -> None:
    """Its condition would not hold any more, and a change that was made would be told as a conflict."""
    old = service.definition("indexes", index)
    faults({"method": "PUT", "cut": 0, "applied": True})
    with pytest.raises(Unreachable) as told:
        service.put("indexes", old, etag=old["@odata.etag"])
    assert "may have arrived" in str(told.value.hint)
    assert service.definition("indexes", index)["@odata.etag"] != old["@odata.etag"]


def test_a_write_whose_answer_was_lost_is_sent_again(service: Service, index: str, faults: Faulty) -> None:
    faults({"path": "search.index", "cut": 0, "applied": True})
    assert service.write(index, uploads(5)).done == 5
    assert service.count(index) == 5
