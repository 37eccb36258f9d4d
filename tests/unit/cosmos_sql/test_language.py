"""What each clause answers, over a handful of documents."""

from typing import Any

import pytest

from dbops.sandbox.emulators.cosmos import sql

PEOPLE: list[dict[str, Any]] = [
    {"id": "1", "name": "Ada", "age": 36, "tags": ["math", "code"], "home": {"city": "London", "zip": None}},
    {"id": "2", "name": "Grace", "age": 85, "tags": ["code", "navy"], "home": {"city": "New York"}, "order": 1},
    {"id": "3", "name": "Alan", "age": 41, "tags": [], "home": {"city": "London"}, "active": True},
    {"id": "4", "name": "alan", "tags": "none", "active": False},
]


def run(text: str, **parameters: Any) -> list[Any]:
    return list(sql.compile(text, {f"@{name}": value for name, value in parameters.items()}).run(PEOPLE))


def ids(condition: str, **parameters: Any) -> str:
    return "".join(run(f"SELECT VALUE c.id FROM c WHERE {condition}", **parameters))


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("c.name = 'Ada'", "1"),
        ('c.name = "Ada"', "1"),
        ("'Ada' = c.name", "1"),
        ("c.name != 'Ada'", "234"),
        ("c.name <> 'Ada'", "234"),
        ("c.age > 40", "23"),
        ("c.age >= 41 AND c.age < 85", "3"),
        ("c.age > 40 OR c.name = 'Ada'", "123"),
        ("NOT (c.age > 40)", "1"),
        ("c.active", "3"),
        ("NOT c.active", "4"),
        ("c.age BETWEEN 36 AND 41", "13"),
        ("c.age NOT BETWEEN 36 AND 41", "2"),
        ("c.age IN (36, 41, 'x')", "13"),
        ("c.age NOT IN (36, 41)", "2"),
        ("c.age IN (c.age, 1)", "123"),
        ("c.name LIKE 'A%'", "13"),
        ("c.name LIKE '_l_n'", "34"),
        ("c.name LIKE '[A-F]%'", "13"),
        ("c.name LIKE '[^A-F]%'", "24"),
        ("c.name NOT LIKE '%a%'", ""),
        ("'10%' LIKE '10!%' ESCAPE '!' AND c.id = '1'", "1"),
        ("'105' LIKE '10!%' ESCAPE '!'", ""),
        ("IS_DEFINED(c.active)", "34"),
        ("NOT IS_DEFINED(c.home.zip)", "234"),
        ("IS_NULL(c.home.zip)", "1"),
        ("c.home.zip = null", "1"),
        ("c.home.city != null", "123"),
        ('c["home"]["city"] = "London"', "13"),
        ("c.tags[0] = 'code'", "2"),
        ('c["order"] = 1', "2"),
        ("c.age + 5 = 41", "1"),
        ("c.age * 2 - 2 = 70", "1"),
        ("c.age % 5 = 0", "2"),
        ("c.age / 2 = 18", "1"),
        ("-c.age < -80", "2"),
        ("(c.name || '!') = 'Ada!'", "1"),
        ("(c.active ?? true) = true", "123"),
        ("(c.age > 40 ? 'old' : 'young') = 'old'", "23"),
        ("ARRAY_CONTAINS(c.tags, 'code')", "12"),
        ("EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = 'navy')", "2"),
        ("(SELECT VALUE COUNT(1) FROM t IN c.tags) = 2", "12"),
        ("c.home = {'city': 'London'}", "3"),
        ("c.tags = ['code', 'navy']", "2"),
        ("c.id = '1' -- AND c.id = '2'", "1"),
        ("c.name = 'Ada' AND c.age = 36 OR c.id = '4'", "14"),
        ("c.name = 'A\\u0064a'", "1"),
        ("true", "1234"),
        ("1", ""),
        ("c", ""),
    ],
)
def test_a_condition_chooses_documents(condition: str, found: str) -> None:
    assert ids(condition) == found


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("SELECT * FROM c", PEOPLE),
        ("select * from root", PEOPLE),
        ("SELECT VALUE c FROM people c WHERE c.id = '4'", PEOPLE[3:]),
        ("SELECT VALUE c FROM people AS c WHERE c.id = '4'", PEOPLE[3:]),
        ("SELECT c.id, c.home.city FROM c WHERE c.age = 36", [{"id": "1", "city": "London"}]),
        ("SELECT c.id AS key, c.age years FROM c WHERE c.id = '1'", [{"key": "1", "years": 36}]),
        ("SELECT c.age + 1, c.age FROM c WHERE c.id IN ('1', '4')", [{"$1": 37, "age": 36}, {}]),
        ("SELECT VALUE c.age FROM c", [36, 85, 41]),
        ("SELECT VALUE {'n': c.name, missing: c.nothing} FROM c WHERE c.id = '1'", [{"n": "Ada"}]),
        ("SELECT VALUE [c.id, c.nothing] FROM c WHERE c.id = '1'", [["1"]]),
        ("SELECT c FROM c WHERE c.id = '4'", [{"c": PEOPLE[3]}]),
        ("SELECT VALUE t FROM t IN c.tags", ["math", "code", "code", "navy"]),
        ("SELECT * FROM c.home", [PEOPLE[0]["home"], PEOPLE[1]["home"], PEOPLE[2]["home"]]),
        ("SELECT VALUE home.city FROM c.home WHERE home.city != 'London'", ["New York"]),
        (
            "SELECT c.id, t FROM c JOIN t IN c.tags WHERE t = 'code'",
            [{"id": "1", "t": "code"}, {"id": "2", "t": "code"}],
        ),
        ("SELECT VALUE CONCAT(a, b) FROM c JOIN a IN c.tags JOIN b IN c.tags WHERE c.id = '1' AND a < b", ["codemath"]),
        ("SELECT VALUE t FROM c JOIN (SELECT VALUE t FROM t IN c.tags WHERE t != 'code') AS t", ["math", "navy"]),
        ("SELECT VALUE n FROM c JOIN (SELECT VALUE COUNT(1) FROM t IN c.tags) n", [2, 2, 0, 0]),
        ("SELECT VALUE h.city FROM c JOIN h IN c.home", []),
        ("SELECT VALUE ARRAY(SELECT VALUE UPPER(t) FROM t IN c.tags) FROM c WHERE c.id = '1'", [["MATH", "CODE"]]),
        ("SELECT VALUE (SELECT VALUE t FROM t IN c.tags WHERE t = 'navy') FROM c", ["navy"]),
        ("SELECT DISTINCT VALUE c.home.city FROM c", ["London", "New York"]),
        ("SELECT DISTINCT c.home FROM c WHERE c.id = '4' OR c.id = '2'", [{"home": {"city": "New York"}}, {}]),
        ("SELECT TOP 2 VALUE c.id FROM c", ["1", "2"]),
        ("SELECT TOP 0 * FROM c", []),
        ("SELECT VALUE c.id FROM c OFFSET 1 LIMIT 2", ["2", "3"]),
        ("SELECT VALUE c.id FROM c OFFSET 9 LIMIT 2", []),
        ("SELECT VALUE c.id FROM c ORDER BY c.name", ["1", "3", "2", "4"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.name DESC", ["4", "2", "3", "1"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.home.city ASC, c.age DESC", ["4", "3", "1", "2"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.age OFFSET 1 LIMIT 1", ["3"]),
        ("SELECT TOP 1 c.id FROM c ORDER BY c.age DESC", [{"id": "2"}]),
        ("SELECT VALUE 1 + 1", [2]),
        ("SELECT 'x' AS a, undefined AS b", [{"a": "x"}]),
        ("SELECT VALUE undefined FROM c", []),
    ],
)
def test_a_query_answers(text: str, results: list[Any]) -> None:
    assert run(text) == results


def test_parameters_stand_for_values_of_any_type() -> None:
    assert ids("c.name = @name", name="Ada") == "1"
    assert ids("c.home.zip = @zip", zip=None) == "1"
    assert ids("c.home = @home", home={"city": "London"}) == "3"
    assert ids("ARRAY_CONTAINS(@names, c.name)", names=["Ada", "Alan"]) == "13"
    assert ids("c.name LIKE @like", like="%a%") == "1234"
    assert run("SELECT TOP @n VALUE c.id FROM c", n=1) == ["1"]
    assert run("SELECT VALUE c.id FROM c OFFSET @skip LIMIT @take", skip=1, take=1) == ["2"]


def test_the_four_patterns_of_the_workflows() -> None:
    events = [
        {"workspaceId": "w", "status": status, "type": "workflow_execution", "createdAt": f"2026-01-0{day}"}
        for day, status in enumerate(["done", "running", "pending"], start=1)
    ]
    query = sql.compile(
        """SELECT * FROM c
           WHERE c.workspaceId = @workspaceId
             AND c.status IN ('pending', 'running')
             AND c.type = 'workflow_execution'
           ORDER BY c.createdAt DESC""",
        {"@workspaceId": "w"},
    )
    assert list(query.run(events)) == [events[2], events[1]]
    assert query.order == ((("createdAt",), True),)
    assert query.equalities == {"/workspaceId": "w", "/type": "workflow_execution"}


def test_results_come_while_documents_go_in() -> None:
    seen: list[str] = []

    def documents() -> Any:
        for person in PEOPLE:
            seen.append(person["id"])
            yield person

    results = sql.compile("SELECT VALUE c.id FROM c WHERE c.age > 1", {}).run(documents())
    assert next(results) == "1"
    assert seen == ["1"]


@pytest.mark.parametrize("text", ["SELECT * FROM c", "select * from root r", "SELECT VALUE c FROM c"])
def test_a_query_for_everything_is_known_as_such(text: str) -> None:
    query = sql.compile(text, {})
    assert query.whole
    assert not query.needs_plan


@pytest.mark.parametrize(
    "text",
    [
        "SELECT VALUE c.a FROM c",
        "SELECT * FROM c WHERE true",
        "SELECT * FROM c.a",
        "SELECT c FROM c",
        "SELECT VALUE c FROM c JOIN t IN c.t",
        "SELECT TOP 1 * FROM c",
        "SELECT DISTINCT * FROM c",
    ],
)
def test_what_is_less_than_everything_is_not_taken_for_it(text: str) -> None:
    assert not sql.compile(text, {}).whole


@pytest.mark.parametrize(
    ("condition", "equalities"),
    [
        ("c.a = 1", {"/a": 1}),
        ("'x' = c.a.b AND c.n = null AND c.k > 3", {"/a/b": "x", "/n": None}),
        ("c.a = 1 OR c.b = 2", {}),
        ("NOT (c.a = 1)", {}),
        ("c.a = c.b", {}),
        ("c.a = @p AND (c.b = true AND c.c = 2.5)", {"/a": "given", "/b": True, "/c": 2.5}),
        ("c.a = [1] AND c.b = undefined", {}),
        ("c.a[0] = 1", {}),
    ],
)
def test_equalities_are_those_that_every_result_must_meet(condition: str, equalities: dict[str, Any]) -> None:
    assert sql.compile(f"SELECT * FROM c WHERE {condition}", {"@p": "given"}).equalities == equalities


def test_a_condition_of_a_patch_is_a_predicate() -> None:
    met = sql.condition("from c where c.age > 40 and c.home.city = 'London'")
    assert [met(person) for person in PEOPLE] == [False, False, True, False]
    assert sql.condition("FROM root r WHERE r.id = @id", {"@id": "4"})(PEOPLE[3])


def test_long_chains_stay_within_the_stack() -> None:
    chain = " OR ".join(f"c.age = {age}" for age in range(5_000))
    assert ids(chain) == "123"


@pytest.mark.parametrize("text", ["SELECT VALUE 1", "SELECT VALUE COUNT(1)", "SELECT TOP 1 VALUE 1"])
def test_a_query_without_documents_is_for_one_range_and_has_one_result(text: str) -> None:
    query = sql.compile(text, {})
    assert query.constant
    assert not query.needs_plan
    assert list(query.run(PEOPLE)) == [1]
