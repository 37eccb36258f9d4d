"""When a written document is seen. The delay is long where nothing may be seen yet, and short where it must end."""

import time
from collections.abc import Generator
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError

from dbops.servers import emulator

from searching import SETTINGS, Documents, Service, field

_NEVER_S, _SOON_S = 3600.0, 0.3


@pytest.fixture
def late(folder: Path) -> Generator[Service]:
    with emulator.running(_server(folder, _NEVER_S)) as server, Service(server) as service:
        yield service


def _server(folder: Path, delay_s: float) -> emulator.Server:
    return emulator.Server(folder / "late", "search", {**SETTINGS, "visible_after_s": delay_s})


def _seen(docs: Documents) -> tuple[int, list[str]]:
    return docs.get_document_count(), sorted(str(row["id"]) for row in docs.search("*"))


def test_a_written_document_is_acknowledged_before_it_is_seen(late: Service) -> None:
    docs = late.create(field("n", "Edm.Int32"))
    assert docs.upload_documents([{"id": "a"}])[0].status_code == 201
    assert _seen(docs) == (0, [])
    with pytest.raises(ResourceNotFoundError):
        docs.get_document("a")


def test_writers_see_what_readers_do_not(late: Service) -> None:
    docs = late.create(field("n", "Edm.Int32"), field("m", "Edm.Int32"))
    docs.upload_documents([{"id": "a", "n": 1}])
    assert docs.upload_documents([{"id": "a", "n": 2}])[0].status_code == 200
    assert docs.merge_documents([{"id": "a", "m": 3}])[0].status_code == 200
    docs.delete_documents([{"id": "a"}])
    assert docs.merge_documents([{"id": "a", "m": 4}])[0].status_code == 404


def test_readers_see_the_old_document_until_the_new_one_is_visible(folder: Path) -> None:
    with emulator.running(_server(folder, 0.0)) as server, Service(server) as service:
        docs = service.create(field("n", "Edm.Int32"))
        docs.upload_documents([{"id": "a", "n": 1}, {"id": "b", "n": 1}])
    with emulator.running(_server(folder, _NEVER_S)) as server, Service(server) as service:
        docs = service.documents("docs")
        docs.upload_documents([{"id": "a", "n": 2}])
        docs.delete_documents([{"id": "b"}])
        assert [docs.get_document(key)["n"] for key in "ab"] == [1, 1]
        assert [row["n"] for row in docs.search("*", filter="n ge 1", order_by=["id"])] == [1, 1]
        assert docs.get_document_count() == 2


def test_a_document_is_seen_in_the_end_by_lookup_query_and_count(folder: Path) -> None:
    with emulator.running(_server(folder, _SOON_S)) as server, Service(server) as service:
        docs = service.create(field("n", "Edm.Int32"))
        written = time.time()
        docs.upload_documents([{"id": "a", "n": 1}])
        while not _seen(docs)[1]:
            assert time.time() < written + 30
        assert time.time() >= written + _SOON_S
        assert _seen(docs) == (1, ["a"])
        assert docs.get_document("a")["n"] == 1
