"""The search emulator under the sizes that a platform has: what the SDK's client gets out of it, and what it takes."""

import http.client
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient

from dbops.servers import emulator

from searching import ADMIN, SETTINGS, VERSION, Documents, Service, field, vector

_SMALL, _LARGE, _DIMENSIONS = 130_000, 20_000, 1536
_MOST_MEMORY_MB = 600
_TURNS, _ROWS = 20, 100


class _Wire:
    """One connection that is kept open, and nothing that costs more than the server."""

    def __init__(self, server: emulator.Server) -> None:
        self._talk = http.client.HTTPConnection(emulator.HOST, emulator.port(server) or 0, timeout=120)

    def post(self, operation: str, body: bytes, *, status: int = 200) -> Any:
        path = f"/indexes('docs')/docs/{operation}?api-version={VERSION}"
        headers = {"api-key": ADMIN, "content-type": "application/json"}
        self._talk.request("POST", path, body=body, headers=headers)
        answer = self._talk.getresponse()
        told = answer.read()
        assert answer.status == status, told[:500]
        return orjson.loads(told)

    def close(self) -> None:
        self._talk.close()


def _took(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _memory_mb(pid: int, what: str = "VmHWM") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def _small(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"k{n:08}",
            "workspace": f"w{n % 97}",
            "title": f"Document number {n}",
            "n": n,
            "updated": f"2026-01-{n % 28 + 1:02}T00:00:00Z",
            "tags": ["a", f"t{n % 7}"],
        }
        for n in range(first, first + count)
    ]


_FIELDS = (
    field("workspace"),
    field("title", filterable=False, sortable=False, facetable=False),
    field("n", "Edm.Int64"),
    field("updated", "Edm.DateTimeOffset"),
    field("tags", "Collection(Edm.String)"),
)


def _exported(wire: _Wire, top: int, select: str) -> Iterator[dict[str, Any]]:
    """Read everything in the order of the keys, from key to key."""
    last = ""
    while True:
        wanted = {"search": "*", "filter": f"id gt '{last}'", "orderby": "id", "top": top, "select": select}
        rows = wire.post("search.post.search", orjson.dumps(wanted))["value"]
        if not rows:
            return
        yield from rows
        last = rows[-1]["id"]


def _paged(wire: _Wire) -> int:
    """Read as a naive export does, page after page by the parameters of the next one, until that is refused."""
    count = 0
    wanted: dict[str, Any] | None = {"search": "*", "top": 200_000, "select": "id", "orderby": "id"}
    while wanted is not None and wanted.get("skip", 0) <= 100_000:
        page = wire.post("search.post.search", orjson.dumps(wanted))
        count += len(page["value"])
        wanted = page.get("@search.nextPageParameters")
    assert wanted is not None
    wire.post("search.post.search", orjson.dumps(wanted), status=400)
    return count


def test_130_000_documents_are_written_and_exported(folder: Path) -> None:
    server = emulator.Server(folder / "search", "search", SETTINGS)
    pid = emulator.start(server)
    with Service(server) as service:
        service.create(*_FIELDS)
        wire = _Wire(server)
        bodies = [orjson.dumps({"value": _small(first, 1000)}) for first in range(0, _SMALL, 1000)]
        writing = _took(lambda: [wire.post("search.index", body) for body in bodies])
        keys: list[str] = []
        reading = _took(lambda: keys.extend(row["id"] for row in _exported(wire, 1000, "*")))
        assert keys == [f"k{n:08}" for n in range(_SMALL)]
        docs = service.documents("docs", held=False)
        through_sdk = _took(lambda: [docs.upload_documents(_small(first, 1000)) for first in range(0, 20_000, 1000)])
        assert docs.get_document_count() == _SMALL
        assert _paged(wire) == 101_000  # and not one more: the service does not skip further
        wire.close()
    memory = _memory_mb(pid)
    emulator.stop(server)
    again = _took(lambda: emulator.start(server))
    emulator.stop(server)
    print(
        f"\n130,000 documents written {_SMALL / writing:,.0f}/s, exported by keys {_SMALL / reading:,.0f}/s"
        f" ({reading:.1f} s); replaced through the SDK {20_000 / through_sdk:,.0f}/s;"
        f" memory {memory:.0f} MB; start over them {again:.2f} s"
    )
    assert memory <= _MOST_MEMORY_MB


def test_20_000_documents_with_vectors_of_1536_are_written_exported_and_searched(folder: Path) -> None:
    server = emulator.Server(folder / "search", "search", SETTINGS)
    pid = emulator.start(server)
    random = np.random.default_rng(7)
    with Service(server) as service:
        service.create(*_FIELDS, vector("vec", _DIMENSIONS, retrievable=True))
        wire = _Wire(server)
        writing = 0.0
        for first in range(0, _LARGE, 500):
            vectors = random.standard_normal((500, _DIMENSIONS), dtype=np.float32)
            rows = [row | {"vec": vectors[at]} for at, row in enumerate(_small(first, 500))]
            body = orjson.dumps({"value": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
            writing += _took(lambda sent=body: wire.post("search.index", sent))
        count = 0
        began = time.perf_counter()
        for row in _exported(wire, 500, "id,vec"):
            assert len(row["vec"]) == _DIMENSIONS
            count += 1
        reading = time.perf_counter() - began
        assert count == _LARGE
        asked = random.standard_normal(_DIMENSIONS, dtype=np.float32).tolist()
        query = orjson.dumps(
            {"vectorQueries": [{"kind": "vector", "vector": asked, "fields": "vec", "k": 10}], "select": "id"}
        )
        first_search = _took(lambda: wire.post("search.post.search", query))
        searching = min(_took(lambda: wire.post("search.post.search", query)) for _ in range(10))
        wire.close()
    memory = _memory_mb(pid)
    emulator.stop(server)
    print(
        f"\n20,000 vectors of 1536 written {_LARGE / writing:,.0f}/s, exported {_LARGE / reading:,.0f}/s;"
        f" nearest 10 {searching * 1000:.0f} ms (first time {first_search:.2f} s); memory {memory:.0f} MB"
    )
    assert memory <= _MOST_MEMORY_MB


def test_single_documents_are_written_almost_as_fast_as_to_a_server_that_does_nothing(folder: Path) -> None:
    """Held in processor time of client and server together: on a busy machine the clock tells of its neighbours."""
    answer = '{"value":[{"key":"k","status":true,"errorMessage":null,"statusCode":201}]}'
    with ExitStack() as opened:
        nothing, its_pid = opened.enter_context(_same_answer(folder / "nothing", answer))
        server = opened.enter_context(emulator.running(emulator.Server(folder / "search", "search", SETTINGS)))
        service = opened.enter_context(Service(server))
        service.create(*_FIELDS)
        real = service.documents("docs", held=False)
        plain = opened.enter_context(SearchClient(nothing, "docs", AzureKeyCredential(ADMIN)))
        both = (
            (_Costs(emulator.pid(server) or 0), real),
            (_Costs(its_pid), cast("Documents", plain)),
        )
        for turn in range(_TURNS):
            for costs, docs in both:
                costs.measure(docs, _small(turn * _ROWS, _ROWS))
    (ours, _), (least, _) = both
    ratio = least.processor_s / ours.processor_s
    print(
        f"\nsingle documents through the SDK: {ours.told()}; to a server that does nothing: {least.told()};"
        f" ratio {ratio:.2f} of processor time, {least.best_s / ours.best_s:.2f} by the clock"
    )
    assert ratio >= 0.8  # 0.85 is wanted on a machine of its own; neighbours empty the caches of the one that waits


class _Costs:
    """What writing single documents took, here and in a server."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.processor_s = 0.0
        self.best_s = float("inf")

    def measure(self, docs: Documents, rows: list[dict[str, Any]]) -> None:
        before = time.process_time() + _processor_s(self._pid)
        self.best_s = min(self.best_s, _took(lambda: _one_by_one(docs, rows)))
        self.processor_s += time.process_time() + _processor_s(self._pid) - before

    def told(self) -> str:
        each_ms = 1000 * self.processor_s / (_TURNS * _ROWS)
        return f"{_ROWS / self.best_s:,.0f}/s at best, {each_ms:.2f} ms of processor each"


def _one_by_one(docs: Documents, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        docs.upload_documents([row])


@contextmanager
def _same_answer(home: Path, answer: str) -> Generator[tuple[str, int]]:
    (home / "data").mkdir(parents=True)
    (home / "emulator.json").write_bytes(orjson.dumps({"key": ADMIN, "answer": answer}))
    program = Path(__file__).parents[1] / "same_answer.py"
    with subprocess.Popen([sys.executable, str(program), "--home", str(home)]) as child:
        try:
            while not (home / "port").exists():
                assert child.poll() is None
                select.select([], [], [], 0.05)
            yield f"http://{emulator.HOST}:{(home / 'port').read_text()}", child.pid
        finally:
            child.terminate()


def test_the_emulator_is_not_what_a_client_waits_for(folder: Path) -> None:
    """Uploads through the SDK: the emulator's own processor time must be the smaller part."""
    server = emulator.Server(folder / "search", "search", SETTINGS)
    pid = emulator.start(server)
    with Service(server) as service:
        service.create(*_FIELDS)
        docs = service.documents("docs", held=False)
        before = _processor_s(pid)
        whole = _took(lambda: [docs.upload_documents(_small(first, 1000)) for first in range(0, 10_000, 1000)])
        own = _processor_s(pid) - before
    emulator.stop(server)
    print(f"\n10,000 documents through the SDK in {whole:.2f} s, {own:.2f} s of it the emulator ({own / whole:.0%})")
    assert own <= 0.75 * whole


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
