"""What the SDK makes of the service's bad days, each of them injected."""

import time
from typing import Any, cast

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.search.documents import RequestEntityTooLargeError, SearchIndexingBufferedSender

from dbops.servers import emulator

from searching import ADMIN, Documents, Service, field

_WRITES = r"docs/search\.index$"


@pytest.fixture
def docs(service: Service) -> Documents:
    return service.create(field("text", filterable=False, sortable=False, facetable=False))


def _met(service: Service) -> int:
    """How many requests the first rule met."""
    talk = service.ask("GET", "/.faults", version=None, x_emulator_key=str(service.server.settings["key"]))
    return talk.json()[0]["met"]


@pytest.mark.parametrize("status", [503, 409, 422])
def test_one_document_fails_while_its_batch_goes_through(service: Service, docs: Documents, status: int) -> None:
    emulator.inject(service.server, {"kind": "document", "path": "^b$", "status": status})
    results = docs.upload_documents([{"id": "a"}, {"id": "b"}, {"id": "c"}])
    assert [(one.succeeded, one.status_code) for one in results] == [(True, 201), (False, status), (True, 201)]
    assert results[1].error_message
    assert docs.get_document_count() == 2
    assert docs.upload_documents([{"id": "b"}])[0].succeeded  # the fault happened once


def test_a_failing_document_makes_the_answer_207(service: Service) -> None:
    service.create(field("text"))
    emulator.inject(service.server, {"kind": "document", "path": ".", "status": 503, "times": -1})
    answer = service.ask("POST", "/indexes('docs')/docs/search.index", {"value": [{"id": "a"}, {"id": "b"}]})
    assert answer.status == 207
    assert [one["status"] for one in answer.json()["value"]] == [False, False]


def test_the_sdk_asks_again_after_503(service: Service) -> None:
    service.create(field("text"))
    docs = service.documents("docs", retry_total=3, retry_backoff_factor=0)
    emulator.inject(service.server, {"path": _WRITES, "status": 503, "times": 2})
    assert docs.upload_documents([{"id": "a"}])[0].succeeded
    assert _met(service) == 2


@pytest.mark.parametrize(("headers", "met"), [({"retry-after": "0"}, 1), ({}, 1)])
def test_the_sdk_asks_again_after_429_only_when_told_when(service: Service, headers: dict[str, str], met: int) -> None:
    service.create(field("text"))
    docs = service.documents("docs", retry_total=3, retry_backoff_factor=0)
    emulator.inject(service.server, {"path": _WRITES, "status": 429, "headers": headers})
    if headers:
        assert docs.upload_documents([{"id": "a"}])[0].succeeded
    else:
        with pytest.raises(HttpResponseError) as refused:
            docs.upload_documents([{"id": "a"}])
        assert refused.value.status_code == 429
    assert _met(service) == met


@pytest.mark.parametrize(("status", "requests"), [(500, 4), (503, 4), (502, 1), (409, 1)])
def test_the_sdk_asks_again_after_some_failures_and_not_after_others(
    service: Service, status: int, requests: int
) -> None:
    service.create(field("text"))
    docs = service.documents("docs", retry_total=3, retry_backoff_factor=0)
    emulator.inject(service.server, {"path": _WRITES, "status": status, "times": -1})
    with pytest.raises(HttpResponseError):
        docs.upload_documents([{"id": "a"}])
    assert _met(service) == requests


def test_the_buffered_sender_of_the_sdk_loses_documents_which_is_why_nobody_should_use_it(service: Service) -> None:
    service.create(field("text"))
    emulator.inject(service.server, {"path": _WRITES, "status": 503})
    credential = AzureKeyCredential(ADMIN)
    with SearchIndexingBufferedSender(service.url, "docs", credential, auto_flush=False, retry_total=0) as sender:
        cast("Documents", sender).upload_documents([{"id": f"k{n}"} for n in range(100)])
        sender.flush()
    assert service.documents("docs").get_document_count() == 1


def test_the_sdk_halves_a_batch_that_is_too_large(service: Service, docs: Documents) -> None:
    emulator.inject(service.server, {"path": _WRITES, "status": 413, "times": 3})
    results = docs.upload_documents([{"id": f"k{n}"} for n in range(400)])
    assert len(results) == 400
    assert docs.get_document_count() == 400


def test_more_than_16_megabytes_are_refused_and_halved_by_the_sdk(service: Service, docs: Documents) -> None:
    large = "x " * (3 << 20)
    assert len(docs.upload_documents([{"id": f"k{n}", "text": large} for n in range(4)])) == 4
    assert docs.get_document_count() == 4
    alone = service.ask(
        "POST", "/indexes('docs')/docs/search.index", {"value": [{"id": "a", "text": "x" * (16 << 20)}]}
    )
    assert alone.status == 413


def test_a_single_document_that_is_too_large_is_told(docs: Documents) -> None:
    with pytest.raises(RequestEntityTooLargeError):
        docs.upload_documents([{"id": "a", "text": "x" * (16 << 20)}])


def test_a_query_is_late(service: Service, docs: Documents) -> None:
    emulator.inject(service.server, {"path": r"search\.post\.search", "delay_s": 0.3})
    began = time.monotonic()
    list(docs.search("*"))
    assert time.monotonic() - began >= 0.3


def test_an_answer_is_cut_off(service: Service, docs: Documents) -> None:
    docs.upload_documents([{"id": f"k{n}", "text": "word"} for n in range(100)])
    emulator.inject(service.server, {"path": r"search\.post\.search", "cut": 200})
    with pytest.raises((ServiceResponseError, ServiceRequestError, HttpResponseError)):
        list(docs.search("*"))
    assert len(list(docs.search("*", top=100))) == 100


def test_an_acknowledgement_is_lost_and_the_documents_are_there(service: Service, docs: Documents) -> None:
    emulator.inject(service.server, {"path": _WRITES, "status": 503, "applied": True})
    with pytest.raises(HttpResponseError):
        docs.upload_documents([{"id": "a"}])
    assert docs.get_document_count() == 1


def test_a_refused_batch_leaves_nothing_behind(service: Service, docs: Documents) -> None:
    emulator.inject(service.server, {"path": _WRITES, "status": 503})
    with pytest.raises(HttpResponseError):
        docs.upload_documents([{"id": "a"}])
    assert docs.get_document_count() == 0


def test_a_definition_that_somebody_else_changed_is_412(service: Service, docs: Documents) -> None:
    emulator.inject(service.server, {"method": "PUT", "path": r"indexes\('docs'\)", "status": 412})
    index = service.indexes.get_index("docs")
    with pytest.raises(HttpResponseError) as refused:
        service.indexes.create_or_update_index(index)
    assert refused.value.status_code == 412


def test_a_query_meets_503_in_the_middle_of_a_long_read(service: Service, docs: Documents) -> None:
    docs.upload_documents([{"id": f"k{n:04}"} for n in range(1000)])
    docs.upload_documents([{"id": f"x{n:04}"} for n in range(1000)])
    emulator.inject(service.server, {"path": r"search\.post\.search", "status": 503, "after": 1})
    found: list[Any] = []
    with pytest.raises(HttpResponseError):
        found.extend(row["id"] for row in docs.search("*", order_by=["id"], top=2000))
    assert len(found) in (0, 1000)
