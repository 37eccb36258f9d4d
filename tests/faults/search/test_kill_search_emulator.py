"""What the search emulator acknowledged is there after it was killed, and nothing is there by half."""

import http.client
import json
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbops.servers import account, alive, emulator

from killing import kills
from searching import ADMIN, SETTINGS, VERSION, Service, field, vector

_SIZES = (1, 20, 120)  # those that wait for others before the tables get them, and those that do not
_COUNTERS = 5
_PATH = f"/indexes('docs')/docs/search.index?api-version={VERSION}"


def _size(batch: int) -> int:
    return _SIZES[batch % len(_SIZES)]


def _write_until_it_dies(server: emulator.Server, first: int, acknowledged: list[int], ended: threading.Event) -> None:
    """Send batch after batch on one connection; note each that was acknowledged."""
    talk = http.client.HTTPConnection(emulator.HOST, emulator.port(server) or 0, timeout=10)
    batch = first
    try:
        while True:
            rows: list[dict[str, Any]] = [
                {"id": f"b{batch:06}-{n:03}", "batch": batch, "text": "some words", "vec": [1.0, float(n), 3.0]}
                for n in range(_size(batch))
            ]
            rows.append({"id": f"counter-{batch % _COUNTERS}", "batch": batch})  # written again and again
            talk.request("POST", _PATH, body=json.dumps({"value": rows}), headers={"api-key": ADMIN})
            answer = talk.getresponse()
            answer.read()
            assert answer.status == 200
            acknowledged.append(batch)
            batch += 1
    except (OSError, http.client.HTTPException):
        pass
    finally:
        talk.close()
        ended.set()


def test_what_was_acknowledged_survives_a_kill_and_batches_are_whole(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    server = emulator.Server(folder / "search", "search", SETTINGS)
    acknowledged: list[int] = []
    asked = 0
    many = kills(20)
    with emulator.running(server), Service(server) as service:
        service.create(field("batch", "Edm.Int32"), field("text"), vector(retrievable=True))
    for _ in range(many):
        pid = emulator.start(server)
        ended = threading.Event()
        before = len(acknowledged)
        first = max(acknowledged, default=-1) + 2  # one number stays free: its batch may be there or not
        writer = threading.Thread(target=_write_until_it_dies, args=(server, first, acknowledged, ended))
        writer.start()
        ended.wait(random.uniform(0.01, 0.25))
        os.kill(pid, signal.SIGKILL)
        writer.join(30)
        alive.await_end([pid], 10)
        asked += len(acknowledged) - before
    with emulator.running(server), Service(server) as service:
        docs = service.documents("docs")
        _hold(service, docs.get_document_count(), set(acknowledged))
    record_property("kills", f"{many} kills, {asked} batches acknowledged, all there and whole")
    assert asked > many  # the kills met writing, not idleness


def _hold(service: Service, count: int, acknowledged: set[int]) -> None:
    """Check that each acknowledged batch is there, and that each batch that is there is there whole."""
    seen: dict[int, int] = {}
    last = "b"
    while True:
        body = {
            "search": "*",
            "filter": f"id gt '{last}' and id lt 'c'",
            "orderby": "id",
            "top": 1000,
            "select": "id,batch,vec",
        }
        rows = service.ask("POST", "/indexes('docs')/docs/search.post.search", body).json()["value"]
        if not rows:
            break
        last = rows[-1]["id"]
        for row in rows:
            seen[row["batch"]] = seen.get(row["batch"], 0) + 1
            assert row["vec"] == [1.0, float(row["id"][-3:]), 3.0]
    assert acknowledged <= seen.keys()
    assert {batch: _size(batch) for batch in seen} == seen
    counters = [service.documents("docs").get_document(f"counter-{n}")["batch"] for n in range(_COUNTERS)]
    for n, counter in enumerate(counters):
        assert counter == max(batch for batch in seen if batch % _COUNTERS == n)
    assert count == sum(seen.values()) + _COUNTERS
    words = {"search": "words", "count": True, "top": 0}
    assert (
        service.ask("POST", "/indexes('docs')/docs/search.post.search", words).json()["@odata.count"]
        == count - _COUNTERS
    )


def test_a_start_that_finds_what_the_tables_have_already_changes_nothing(folder: Path) -> None:
    """A kill between the commit and the emptying of the file where small writes wait."""
    server = emulator.Server(folder / "search", "search", SETTINGS)
    waiting = server.home / "data" / "pending"
    with emulator.running(server) as live, Service(live) as service:
        docs = service.create(field("text"))
        docs.upload_documents([{"id": "a", "text": "old"}, {"id": "b"}, {"id": "c"}])
        docs.get_document_count()
        docs.upload_documents([{"id": "a", "text": "new"}])
        docs.delete_documents([{"id": "b"}])
        pid = emulator.pid(server)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        alive.await_end([pid], 10)
    left = waiting.read_bytes()
    assert left
    for _ in range(2):
        with emulator.running(server), Service(server) as service:
            docs = service.documents("docs")
            assert sorted(str(row["id"]) for row in docs.search("*")) == ["a", "c"]
            assert docs.get_document("a")["text"] == "new"
            assert [row["id"] for row in docs.search("new")] == ["a"]
            assert list(docs.search("old")) == []
        assert waiting.read_bytes() == b""
        waiting.write_bytes(left)
        account.give(waiting)


def test_everything_is_kept_over_stop_and_start(folder: Path) -> None:
    server = emulator.Server(folder / "search", "search", SETTINGS)
    with emulator.running(server), Service(server) as service:
        docs = service.create(field("text"), vector(retrievable=True))
        docs.upload_documents([{"id": "a", "text": "x", "vec": [1.0, 2.0, 3.0]}])
        service.ask("PUT", "/aliases('alias')", {"name": "alias", "indexes": ["docs"]})
        service.ask("PUT", "/synonymmaps('s')", {"name": "s", "format": "solr", "synonyms": "a, b"})
        before = [service.ask("GET", path).json() for path in ("/indexes('docs')", "/aliases", "/synonymmaps")]
    with emulator.running(server), Service(server) as service:
        after = [service.ask("GET", path).json() for path in ("/indexes('docs')", "/aliases", "/synonymmaps")]
        assert [one.pop("@odata.context") for one in after] != []
        assert [{**one} for one in after] == [{k: v for k, v in one.items() if k != "@odata.context"} for one in before]
        assert service.documents("alias").get_document("a") == {"id": "a", "text": "x", "vec": [1.0, 2.0, 3.0]}
