"""The query language through azure-cosmos: in one partition by the emulator, across partitions by plan and merge."""

from collections.abc import Generator
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from cosmos_account import everything, fresh_container

KEYS = [f"w{n}" for n in range(6)]
STATUSES = ["pending", "running", "completed", "failed"]
DOCUMENTS: list[dict[str, Any]] = [
    {
        "id": f"e{n:02}",
        "ws": KEYS[n % len(KEYS)],
        "type": "workflow_execution" if n % 5 else "domain_event",
        "status": STATUSES[n % 4],
        "n": n,
        "ratio": n / 8,
        "name": f"Run {n:02}",
        "createdAt": f"2026-01-{n % 28 + 1:02}T00:00:00Z",
        "tags": [f"t{n % 3}", f"t{n % 4 + 3}"],
        "steps": [{"name": f"s{step}", "ms": n * step} for step in range(n % 3)],
        "detail": {"agent": f"a{n % 3}", "score": n % 7},
        **({"note": "late"} if n % 10 == 0 else {}),
        **({"ended": None} if n % 4 == 1 else {}),
    }
    for n in range(60)
]
COMPOSITE = [[{"path": "/status", "order": "ascending"}, {"path": "/n", "order": "descending"}]]


@pytest.fixture(scope="module")
def runs(client: Any) -> Generator[Any]:
    made = fresh_container(client, indexing_policy={"compositeIndexes": COMPOSITE})
    for key in KEYS:
        made.execute_item_batch([("create", (one,)) for one in DOCUMENTS if one["ws"] == key], key)
    yield made
    client.delete_database(made.container_link.split("/")[1])


def numbers(results: list[Any]) -> list[int]:
    return sorted(one["n"] for one in results)


def chosen(**wanted: Any) -> list[int]:
    return sorted(one["n"] for one in DOCUMENTS if all(one.get(key) == value for key, value in wanted.items()))


# -- conditions, across partitions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("c.status = 'failed'", chosen(status="failed")),
        ("c.status = 'failed' AND c.type = 'domain_event'", chosen(status="failed", type="domain_event")),
        ("c.status != 'failed'", [n for n in range(60) if n % 4 != 3]),
        ("c.n BETWEEN 10 AND 12", [10, 11, 12]),
        ("c.n >= 57", [57, 58, 59]),
        ("c.n < 2 OR c.n > 58", [0, 1, 59]),
        ("c.status IN ('pending', 'running') AND c.n < 6", [0, 1, 4, 5]),
        ("c.name LIKE 'Run 0%'", list(range(10))),
        ("c.name LIKE '%[13]1'", [11, 31]),
        ("STARTSWITH(c.name, 'run 5', true)", list(range(50, 60))),
        ("CONTAINS(c.name, '07')", [7]),
        ("ENDSWITH(c.name, '9') AND c.n < 30", [9, 19, 29]),
        ("IS_DEFINED(c.note)", [0, 10, 20, 30, 40, 50]),
        ("NOT IS_DEFINED(c.note) AND c.n < 3", [1, 2]),
        ("IS_NULL(c.ended) AND c.n < 6", [1, 5]),
        ("c.ended = null AND c.n < 6", [1, 5]),
        ("c.note != 'late'", []),
        ("ARRAY_CONTAINS(c.tags, 't0') AND c.n < 7", [0, 3, 6]),
        ("ARRAY_CONTAINS(c.steps, {'name': 's1'}, true) AND c.n < 9", [2, 5, 8]),
        ("ARRAY_LENGTH(c.steps) = 2 AND c.n < 9", [2, 5, 8]),
        ("EXISTS(SELECT VALUE s FROM s IN c.steps WHERE s.ms > 55)", [56, 59]),
        ("c.detail.agent = 'a1' AND c.detail['score'] = 1", [1, 22, 43]),
        ("c.tags[1] = 't6' AND c.n < 10", [3, 7]),
        ("c.n % 20 = 0", [0, 20, 40]),
        ("c.ratio * 8 = 59", [59]),
        ("REGEXMATCH(c.name, '^run 0[1-3]$', 'i')", [1, 2, 3]),
        ("LENGTH(c.name) = 6 AND UPPER(c.name) = 'RUN 04'", [4]),
        ("c.n > '5'", []),
        ("c.createdAt >= '2026-01-27T00:00:00Z'", [26, 27, 54, 55]),
        ("(c.note ?? 'none') = 'late' AND (c.n > 30 ? true : false)", [40, 50]),
    ],
)
def test_a_condition_chooses_across_partitions(runs: Any, condition: str, wanted: list[int]) -> None:
    assert numbers(everything(runs, f"SELECT * FROM c WHERE {condition}")) == wanted
    inside = [
        one["n"] for key in KEYS for one in runs.query_items(f"SELECT c.n FROM c WHERE {condition}", partition_key=key)
    ]
    assert sorted(inside) == wanted


def test_parameters_of_all_types_arrive(runs: Any) -> None:
    text = "SELECT VALUE c.n FROM c WHERE c.status = @s AND c.n >= @n AND ARRAY_CONTAINS(@tags, c.tags[0]) AND @yes"
    values: dict[str, Any] = {"@s": "failed", "@n": 50, "@tags": ["t0", "t2"], "@yes": True}
    parameters = [{"name": name, "value": value} for name, value in values.items()]
    assert sorted(everything(runs, text, parameters=parameters)) == [51, 59]


# -- order, windows and distinct, merged by the SDK ------------------------------------------------------------------


def test_an_order_goes_through_all_partitions(runs: Any) -> None:
    assert everything(runs, "SELECT VALUE c.n FROM c ORDER BY c.n") == list(range(60))
    assert everything(runs, "SELECT VALUE c.n FROM c ORDER BY c.n DESC", max_item_count=7) == list(range(59, -1, -1))
    names = everything(runs, "SELECT c.name FROM c WHERE c.n > 50 ORDER BY c.name")
    assert [one["name"] for one in names] == [f"Run {n}" for n in range(51, 60)]


def test_the_four_patterns_of_the_workflows_work(runs: Any) -> None:
    one = runs.query_items(
        "SELECT * FROM c WHERE c.ws = @ws AND c.status IN ('pending', 'running') AND c.type = 'workflow_execution'"
        " ORDER BY c.createdAt DESC",
        parameters=[{"name": "@ws", "value": "w1"}],
        enable_cross_partition_query=True,
    )
    wanted = [d for d in DOCUMENTS if d["ws"] == "w1" and d["n"] % 4 < 2 and d["n"] % 5]
    found = [result["createdAt"] for result in one]
    assert found == sorted((d["createdAt"] for d in wanted), reverse=True)
    history = "SELECT VALUE c.n FROM c WHERE c.detail.agent = 'a1' AND c.createdAt >= @since ORDER BY c.createdAt DESC"
    parameters = [{"name": "@since", "value": "2026-01-20T00:00:00Z"}]
    wanted = [d for d in DOCUMENTS if d["n"] % 3 == 1 and d["createdAt"] >= "2026-01-20"]
    assert sorted(everything(runs, history, parameters=parameters)) == sorted(d["n"] for d in wanted)


def test_a_single_order_leaves_out_documents_without_the_property(runs: Any) -> None:
    assert len(everything(runs, "SELECT * FROM c ORDER BY c.note")) == 6
    assert len(list(runs.query_items("SELECT * FROM c ORDER BY c.note", partition_key="w0"))) == 2


def test_an_order_over_two_paths_needs_its_composite_index(runs: Any) -> None:
    text = "SELECT c.status, c.n FROM c ORDER BY c.status ASC, c.n DESC"
    found = [(one["status"], -one["n"]) for one in everything(runs, text)]
    assert found == sorted((d["status"], -d["n"]) for d in DOCUMENTS)
    with pytest.raises(CosmosHttpResponseError) as refused:
        everything(runs, "SELECT * FROM c ORDER BY c.status ASC, c.n ASC")
    assert refused.value.status_code == 400


def test_windows_are_cut_after_the_merge(runs: Any) -> None:
    assert everything(runs, "SELECT TOP 5 VALUE c.n FROM c ORDER BY c.n DESC") == [59, 58, 57, 56, 55]
    assert everything(runs, "SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 10 LIMIT 3") == [10, 11, 12]
    assert everything(runs, "SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 58 LIMIT 9") == [58, 59]
    assert len(everything(runs, "SELECT TOP 7 * FROM c")) == 7
    assert len(everything(runs, "SELECT * FROM c OFFSET 55 LIMIT 20")) == 5
    top = everything(runs, "SELECT TOP @k VALUE c.n FROM c ORDER BY c.n", parameters=[{"name": "@k", "value": 2}])
    assert top == [0, 1]


def test_distinct_holds_over_partitions(runs: Any) -> None:
    assert sorted(everything(runs, "SELECT DISTINCT VALUE c.status FROM c")) == sorted(STATUSES)
    assert everything(runs, "SELECT DISTINCT VALUE c.detail.score FROM c ORDER BY c.detail.score") == list(range(7))
    pairs = everything(runs, "SELECT DISTINCT c.type, c.status FROM c")
    assert len(pairs) == 8
    assert len(everything(runs, "SELECT DISTINCT VALUE t FROM c JOIN t IN c.tags")) == 7


# -- aggregates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("COUNT(1)", 60),
        ("COUNT(c.note)", 6),
        ("COUNT(c.ended)", 15),
        ("SUM(c.n)", 1770),
        ("AVG(c.n)", 29.5),
        ("MIN(c.n)", 0),
        ("MAX(c.n)", 59),
        ("MIN(c.name)", "Run 00"),
        ("MAX(c.createdAt)", "2026-01-28T00:00:00Z"),
    ],
)
def test_an_aggregate_is_put_together_from_all_partitions(runs: Any, call: str, value: Any) -> None:
    assert everything(runs, f"SELECT VALUE {call} FROM c") == [value]
    empty = everything(runs, f"SELECT VALUE {call} FROM c WHERE c.n < 0")
    assert empty in ([0], [None])


def test_aggregates_that_the_sdk_cannot_merge_are_refused(runs: Any) -> None:
    for text in ("SELECT COUNT(1) AS n FROM c", "SELECT c.status, COUNT(1) AS n FROM c GROUP BY c.status"):
        with pytest.raises(CosmosHttpResponseError) as refused:
            everything(runs, text)
        assert refused.value.status_code == 400


def test_groups_are_counted_within_one_partition(runs: Any) -> None:
    text = "SELECT c.status, COUNT(1) AS n, MAX(c.n) AS last, AVG(c.n) AS mean FROM c GROUP BY c.status"
    found = {one["status"]: one for one in runs.query_items(text, partition_key="w0")}
    assert found == {
        "pending": {"status": "pending", "n": 5, "last": 48, "mean": 24},
        "completed": {"status": "completed", "n": 5, "last": 54, "mean": 30},
    }
    assert list(runs.query_items("SELECT COUNT(1) AS n, MIN(c.n) AS first FROM c", partition_key="w1")) == [
        {"n": 10, "first": 1}
    ]


# -- shapes ----------------------------------------------------------------------------------------------------------


def test_results_take_the_shape_that_was_asked_for(runs: Any) -> None:
    one = "WHERE c.id = 'e20'"
    assert everything(runs, f"SELECT c.id, c.detail.agent AS who FROM c {one}") == [{"id": "e20", "who": "a2"}]
    assert everything(runs, f"SELECT VALUE [c.n, c.nothing, {{'a': c.status}}] FROM c {one}") == [
        [20, {"a": "pending"}]
    ]
    assert everything(runs, f"SELECT c.n + 1, c.name || '!' FROM c {one}") == [{"$1": 21, "$2": "Run 20!"}]
    assert everything(runs, f"SELECT VALUE ARRAY(SELECT VALUE s.ms FROM s IN c.steps) FROM c {one}") == [[0, 20]]
    assert everything(runs, f"SELECT VALUE (SELECT VALUE COUNT(1) FROM s IN c.steps) FROM c {one}") == [2]


def test_items_of_arrays_become_results(runs: Any) -> None:
    found = everything(runs, "SELECT c.n, s.ms FROM c JOIN s IN c.steps WHERE s.name = 's1' AND c.n < 9")
    assert sorted(one["ms"] for one in found) == [2, 5, 8]
    assert len(everything(runs, "SELECT VALUE s FROM s IN c.steps", max_item_count=4)) == 60
    pages = runs.query_items("SELECT VALUE t FROM c JOIN t IN c.tags", partition_key="w0", max_item_count=3).by_page()
    sizes = [len(list(page)) for page in pages]
    assert sum(sizes) == 20
    assert max(sizes) <= 3


def test_a_query_without_documents_has_one_result(runs: Any) -> None:
    assert everything(runs, "SELECT VALUE 1 + 1") == [2]
    assert everything(runs, "SELECT VALUE COUNT(1)") == [1]
    assert everything(runs, "SELECT 'a' AS x, @p AS y", parameters=[{"name": "@p", "value": [1]}]) == [
        {"x": "a", "y": [1]}
    ]


def test_a_page_token_resumes_a_filtered_query(runs: Any) -> None:
    text = "SELECT VALUE c.n FROM c WHERE c.status = 'running' ORDER BY c.n"
    pages = runs.query_items(text, partition_key="w1", max_item_count=2).by_page()
    first = list(next(pages))
    again = runs.query_items(text, partition_key="w1", max_item_count=2).by_page(pages.continuation_token)
    rest = [n for page in again for n in page]
    assert first + rest == [n for n in range(1, 60, 6) if n % 4 == 1]


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("SELECT * FROM c WHERE", 400),
        ("SELECT c.value FROM c", 400),
        ("SELECT * FROM c WHERE d.x = 1", 400),
        ("SELECT * FROM c WHERE FOO(c.n)", 400),
        ("SELECT * FROM c ORDER BY c.n + 1", 400),
        ("SELECT * FROM c WHERE c.n = @nowhere", 400),
        ("SELECT * FROM c WHERE ST_DISTANCE(c.a, c.b) < 1", 501),
        ("SELECT TOP 1 * FROM c ORDER BY VectorDistance(c.v, [1, 2])", 501),
        ("SELECT * FROM c WHERE udf.f(c.n)", 501),
    ],
)
def test_a_query_is_refused_or_not_built_and_says_so(runs: Any, text: str, status: int) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        list(runs.query_items(text, partition_key="w0"))
    assert refused.value.status_code == status
