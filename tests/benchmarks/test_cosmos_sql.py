"""What the query language costs: conditions over 100,000 documents, beside a plain Python loop and beside JSON."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from dbops.sandbox.emulators.cosmos import sql

_COUNT = 100_000
_RUNS = 7
_AT_MOST_A_LOOP = 6.0
_AT_MOST_JSON = 0.5  # reading the documents is by far the larger part of a query


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    statuses = ("pending", "running", "done")
    return [
        orjson.dumps({"id": f"e{n}", "ws": f"w{n % 50}", "n": n, "status": statuses[n % 3], "pad": "x" * 500})
        for n in range(_COUNT)
    ]


def _cpu_seconds(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _loop(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        if document.get("status") == "done":
            yield document


@pytest.mark.parametrize("condition", ["c.status = 'done'", "c.ws = 'w1' AND c.status IN ('done', 'x') AND c.n >= 9"])
def test_a_condition_costs_little_beside_reading_the_documents(lines: list[bytes], condition: str) -> None:
    documents = [orjson.loads(line) for line in lines]
    query = sql.compile(f"SELECT * FROM c WHERE {condition}", {})
    rounds = [
        (
            _cpu_seconds(lambda: list(query.run(documents))),
            _cpu_seconds(lambda: list(_loop(documents))),
            _cpu_seconds(lambda: [orjson.loads(line) for line in lines]),
        )
        for _ in range(_RUNS)
    ]

    ours, loop, read = (min(column) for column in zip(*rounds, strict=True))
    print(
        f"\n{condition}: {ours * 1000:.0f} ms for {_COUNT:,} documents, a loop {loop * 1000:.0f} ms"
        f" (ratio {ours / loop:.1f}), reading them {read * 1000:.0f} ms (ratio {ours / read:.2f})"
    )
    assert ours / loop <= _AT_MOST_A_LOOP
    assert ours / read <= _AT_MOST_JSON
