"""Whatever a client sends, the emulator answers as a service: it never fails itself."""

import json
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos.application import Account, make
from dbops.sandbox.emulators.web import Request

from cosmos_account import KEY, signed_for

_NAMES = st.sampled_from(
    [
        *("id", "ws", "n", "ttl", "partitionKey", "paths", "kind", "version", "uniqueKeyPolicy", "uniqueKeys"),
        *("indexingPolicy", "indexingMode", "includedPaths", "excludedPaths", "compositeIndexes", "path", "order"),
        *("operations", "condition", "op", "from", "value", "operationType", "resourceBody", "ifMatch", "content"),
        *("offerThroughput", "offerAutopilotSettings", "maxThroughput", "query", "parameters", "name", "defaultTtl"),
    ]
)
_WORDS = st.sampled_from(
    [
        *("1", "c", "docs", "/ws", "/n", "/*", "/", "Hash", "MultiHash", "none", "@n", "a/b", "\u2603", "/list/0"),
        *("add", "set", "replace", "remove", "incr", "move", "Create", "Upsert", "Replace", "Patch", "Read", "Delete"),
        *("from c where c.n = 1", "SELECT * FROM c", "SELECT VALUE COUNT(1) FROM c", "SELECT * FROM c ORDER BY c.n"),
        "SELECT * FROM c WHERE c.n = @n",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats(allow_nan=False) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=12,
)
_TRUE = st.just("True")
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x-ms-documentdb-partitionkey": st.sampled_from(
            ['["a"]', "[{}]", "[null]", "[1]", "[]", "x", '["a", 1]', "[NaN]"]
        ),
        "x-ms-documentdb-partitionkeyrangeid": st.sampled_from(["0", "3", "9", "x", "", "AAAA,1"]),
        "x-ms-start-epk": st.sampled_from(["", "00", "1FFF", "zz"]),
        "x-ms-end-epk": st.sampled_from(["FF", "1FFF", ""]),
        "x-ms-documentdb-query-enablecrosspartition": _TRUE,
        "x-ms-documentdb-isquery": _TRUE,
        "x-ms-cosmos-is-query-plan-request": _TRUE,
        "x-ms-documentdb-is-upsert": _TRUE,
        "x-ms-cosmos-is-batch-request": _TRUE,
        "x-ms-cosmos-batch-atomic": st.sampled_from(["True", "False", "x"]),
        "x-ms-max-item-count": st.sampled_from(["1", "-1", "0", "x", "99999999999"]),
        "x-ms-continuation": st.sampled_from(["x", "W10=", "e30=", "WzEsMiwzLDQsNV0="]),
        "x-ms-session-token": st.sampled_from(["0:0#1", "x", "1", "0:-1#", ",,"]),
        "x-ms-consistency-level": st.sampled_from(["Session", "Strong", "x"]),
        "x-ms-offer-throughput": st.sampled_from(["400", "x", "-1", "1e3", "\u0664"]),
        "x-ms-cosmos-offer-autopilot-settings": st.sampled_from(['{"maxThroughput": 4000}', "{}", "x", "[]", "1"]),
        "a-im": st.sampled_from(["Incremental Feed", "Full-Fidelity Feed", "x"]),
        "if-none-match": st.sampled_from(["*", '"1"', "x", '"-1"', '"99999999999999999999"', '"\u0664"']),
        "if-match": st.sampled_from(["*", '"x"']),
        "if-modified-since": st.sampled_from(["Sat, 21 Nov 2026 00:00:00 GMT", "x", "1"]),
        "content-type": st.sampled_from(["application/query+json", "application/json"]),
        "prefer": st.just("return=minimal"),
    },
)
_PATHS = st.sampled_from(
    [
        *("/", "/dbs", "/dbs/d", "/dbs/d/colls", "/dbs/d/colls/c", "/dbs/d/colls/c/docs", "/dbs/d/colls/c/docs/1"),
        *("/offers", "/offers/x", "/x", "//", "/dbs/%FF", "/dbs/d/colls/u", "/dbs/d/colls/u/docs"),
        *("/dbs/d/colls/c/pkranges", "/dbs/d/colls/c/operations/partitionkeydelete", "/dbs/d/colls/c/docs/a%2Fb"),
    ]
)


def _send(account: Account, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    told = signed_for(method, path) if "%" not in path else {"authorization": quote("type=master&ver=1.0&sig=x", "")}
    reply = account(Request(method, path, {}, {**told, **headers}, body, "http://127.0.0.1:1"))
    return reply.status, reply.body


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Generator[Account]:
    account = make(tmp_path_factory.mktemp("cosmos"), {"key": KEY})
    yield account
    account.close()


def _made(account: Account) -> None:
    """See to it that there are a container and one with rules; the test before may have dropped them."""
    key = {"paths": ["/ws"], "kind": "Hash", "version": 2}
    rules = {"uniqueKeyPolicy": {"uniqueKeys": [{"paths": ["/n"]}]}, "defaultTtl": 5}
    for path, body in (
        ("/dbs", {"id": "d"}),
        ("/dbs/d/colls", {"id": "c", "partitionKey": key}),
        ("/dbs/d/colls", {"id": "u", "partitionKey": key, **rules}),
    ):
        _send(account, "POST", path, json.dumps(body).encode(), {})
    item = {"id": "1", "ws": "a", "n": 1, "list": [1]}
    headers = {"x-ms-documentdb-partitionkey": '["a"]', "x-ms-documentdb-is-upsert": "True"}
    _send(account, "POST", "/dbs/d/colls/c/docs", json.dumps(item).encode(), headers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]), _PATHS, _JSON, _HEADERS)
def test_every_request_is_answered(own: Account, method: str, path: str, body: Any, headers: dict[str, str]) -> None:
    _made(own)
    status, answer = _send(own, method, path, json.dumps(body).encode(), headers)
    assert status < 500 or status == 501
    if answer:
        json.loads(answer)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=40), _HEADERS)
def test_every_body_is_answered(own: Account, body: bytes, headers: dict[str, str]) -> None:
    _made(own)
    assert _send(own, "POST", "/dbs/d/colls/c/docs", body, headers)[0] in {200, 201, 207, 400, 404, 409, 410, 501}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(_JSON, max_size=3), st.sampled_from(["c", "u"]))
def test_every_batch_and_every_patch_is_answered(own: Account, operations: list[Any], name: str) -> None:
    _made(own)
    key = {"x-ms-documentdb-partitionkey": '["a"]'}
    batch = key | {"x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True"}
    wished = [{"operationType": "Create", "id": "1", "resourceBody": one} for one in operations]
    for body in (operations, wished, [*wished, *operations]):
        assert _send(own, "POST", f"/dbs/d/colls/{name}/docs", json.dumps(body).encode(), batch)[0] in {
            200,
            207,
            400,
            501,
        }
    patch = json.dumps({"operations": operations}).encode()
    assert _send(own, "PATCH", f"/dbs/d/colls/{name}/docs/1", patch, key)[0] in {200, 400, 404, 409}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.dictionaries(_NAMES, _JSON, max_size=5), st.booleans())
def test_every_definition_is_answered(own: Account, wish: dict[str, Any], new: bool) -> None:
    _made(own)
    key = {"paths": ["/ws"], "kind": "Hash", "version": 2}
    if new:
        body = json.dumps({"id": "x", "partitionKey": key, **wish}).encode()
        status, _ = _send(own, "POST", "/dbs/d/colls", body, {})
        _send(own, "DELETE", "/dbs/d/colls/x", b"", {})
    else:
        body = json.dumps({"id": "u", "partitionKey": key, **wish}).encode()
        status, _ = _send(own, "PUT", "/dbs/d/colls/u", body, {})
        item = json.dumps({"id": "9", "ws": "a", "n": 9}).encode()
        assert _send(own, "POST", "/dbs/d/colls/u/docs", item, {"x-ms-documentdb-partitionkey": '["a"]'})[0] in {
            201,
            409,
        }
        _send(own, "DELETE", "/dbs/d/colls/u", b"", {})
    assert status < 500 or status == 501
