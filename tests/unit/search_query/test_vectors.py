import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dbops.sandbox.emulators.search.query import Invalid, Unsupported

from questions import Index, field, index, vector


@pytest.fixture
def plane() -> Iterator[Index]:
    with index(
        vector("v", 2),
        vector("dot", 2, "dotProduct"),
        vector("far", 2, "euclidean"),
        vector("bits", 2, "hamming"),
        field("side"),
        field("x", "Edm.Int32"),
        field("text"),
    ) as built:
        for name, x, y in (("east", 1, 0), ("north", 0, 2), ("west", -3, 0), ("north_east", 1, 1)):
            point = [x, y]
            side = "up" if y else "flat"
            built.put(
                {"id": name, "v": point, "dot": point, "far": point, "side": side, "x": x, "text": f"{side} {name}"}
            )
        built.put({"id": "nowhere", "side": "up", "text": "up"})
        yield built


def near(*numbers: float, fields: str = "v", **more: Any) -> dict[str, Any]:
    return {"kind": "vector", "vector": list(numbers), "fields": fields, **more}


def scores(built: Index, *queries: dict[str, Any], **request: Any) -> dict[str, Any]:
    rows = built.rows(vectorQueries=list(queries), **request)
    return {row["id"]: pytest.approx(row["@search.score"], rel=1e-6) for row in rows}


def test_cosine_scores_as_the_service_documents(plane: Index) -> None:
    found = scores(plane, near(2, 0))
    assert list(found) == ["east", "north_east", "north", "west"]
    assert found == {"east": 1.0, "north_east": 1 / (2 - math.sqrt(0.5)), "north": 0.5, "west": 1 / 3}


def test_dot_products_and_euclidean_distances_order_too(plane: Index) -> None:
    assert list(scores(plane, near(0, 1, fields="dot"))) == ["north", "north_east", "east", "west"]
    found = scores(plane, near(0, 2, fields="far"))
    assert list(found) == ["north", "north_east", "east", "west"]
    assert found["north_east"] == 1 / (1 + math.sqrt(2))


def test_k_limits_what_is_found_and_counted(plane: Index) -> None:
    answer = plane.ask(vectorQueries=[near(1, 0, k=2)], count=True, facets=["side", "x,interval:5"])
    assert [row["id"] for row in answer["value"]] == ["east", "north_east"]
    assert answer["@odata.count"] == 2
    assert answer["@search.facets"]["x"] == [{"count": 2, "value": 0}]
    assert answer["@search.facets"]["side"] == [{"count": 1, "value": "flat"}, {"count": 1, "value": "up"}]


def test_a_filter_comes_before_the_vectors_unless_it_shall_come_after(plane: Index) -> None:
    asked = {"vectorQueries": [near(1, 0, k=2)], "filter": "side eq 'up'"}
    assert plane.ids(**asked) == ["north_east", "north"]
    assert plane.ids(**asked, vectorFilterMode="postFilter") == ["north_east"]
    with pytest.raises(Unsupported, match="strictPostFilter"):
        plane.ids(**asked, vectorFilterMode="strictPostFilter")


def test_rankings_are_fused_by_reciprocal_rank(plane: Index) -> None:
    found = scores(plane, near(1, 0, k=2), near(0, 1, k=2, weight=2))
    assert found == {"north": 2 / 60, "north_east": 1 / 61 + 2 / 61, "east": 1 / 60}
    assert list(found) == ["north_east", "north", "east"]


def test_one_query_over_two_fields_is_two_rankings(plane: Index) -> None:
    assert scores(plane, near(1, 0, fields="v, dot", k=1)) == {"east": 2 / 60}


def test_a_text_and_a_vector_are_fused(plane: Index) -> None:
    found = scores(plane, near(1, 0, k=1), search="west")
    assert found == {"east": 1 / 60, "west": 1 / 60}
    assert scores(plane, near(1, 0, k=1), search="*") == {"east": 1.0}


def test_vector_results_have_pages_and_orders(plane: Index) -> None:
    asked = [near(1, 0)]
    assert plane.ids(vectorQueries=asked, top=2, skip=1) == ["north_east", "north"]
    assert plane.ids(vectorQueries=asked, orderby="id") == ["east", "north", "north_east", "west"]
    assert plane.ids(vectorQueries=asked, orderby="side desc") == ["north_east", "north", "east", "west"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (near(1, 2, 3), "'v' has 2 dimensions, and the vector of the query has 3"),
        (near(1, 2, fields="missing"), "Unknown field 'missing'"),
        (near(1, 2, fields="text"), "not a searchable vector field"),
        (near(1, 2, k=0), "'k' is not valid"),
        (near(1, 2, weight=0), "'weight' is not valid"),
        ({"kind": "vector", "vector": "x", "fields": "v"}, "array of numbers"),
        ({"kind": "vector", "vector": [1, "x"], "fields": "v"}, "array of numbers"),
        ({"kind": "magic", "fields": "v"}, "'magic'"),
        ("v", "must be an object"),
    ],
)
def test_a_vector_query_that_the_service_refuses_is_refused(plane: Index, query: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        plane.ask(vectorQueries=[query])


@pytest.mark.parametrize(
    ("query", "feature"),
    [
        ({"kind": "text", "text": "x", "fields": "v"}, "kind text"),
        (near(1, 2, fields="bits"), "hamming"),
        (near(1, 2, threshold={"kind": "vectorSimilarity", "value": 0.8}), "threshold"),
    ],
)
def test_a_vector_query_that_is_not_imitated_is_named(plane: Index, query: dict[str, Any], feature: str) -> None:
    plane.put({"id": "b", "bits": [1, 2]})
    with pytest.raises(Unsupported, match=feature):
        plane.ask(vectorQueries=[query])


def test_numbers_too_large_for_their_product_are_ranked_all_the_same() -> None:
    with index(vector("v", 2, "dotProduct")) as built:
        built.put({"id": "huge", "v": [3e38, 0]}, {"id": "small", "v": [1, 0]})
        assert built.ids(vectorQueries=[near(3e38, 0)]) == ["huge", "small"]


def test_replaced_and_deleted_vectors_are_not_found(plane: Index) -> None:
    assert plane.ids(vectorQueries=[near(1, 0, k=1)]) == ["east"]
    plane.put({"id": "east", "v": [0, -1]}, at=1.0)
    assert plane.ids(vectorQueries=[near(1, 0, k=1)]) == ["north_east"]
    assert plane.ids(vectorQueries=[near(0, -1, k=1)]) == ["east"]
    plane.table.delete(["east"], 2.0)
    assert "east" not in plane.ids(vectorQueries=[near(0, -1)])


def test_vectors_that_were_replaced_again_and_again_are_dropped_from_memory() -> None:
    with index(vector("v", 2)) as built:
        for turn in range(5):
            built.put(*({"id": str(n), "v": [1, turn + n]} for n in range(1500)), at=float(turn), now=float(turn))
            assert built.ids(vectorQueries=[near(0, 1, k=1)]) == ["1499"]
        assert len(built.table.matrices["v"]) < 4 * 1500


def test_many_vectors_are_ranked_as_numpy_ranks_them() -> None:
    random = np.random.default_rng(7)
    stored = random.standard_normal((5000, 8)).astype(np.float32)
    with index(vector("v", 8), field("n", "Edm.Int32")) as built:
        built.put(*({"id": f"k{n}", "v": row.tolist(), "n": n} for n, row in enumerate(stored)))
        built.table.delete([f"k{n}" for n in range(0, 5000, 3)], 0.0)
        built.put({"id": "last", "v": stored[0].tolist(), "n": -1})  # also lets the deleted be forgotten
        for _ in range(5):
            asked = random.standard_normal(8)
            cosines = stored @ asked / np.linalg.norm(stored, axis=1) / np.linalg.norm(asked)
            left = [n for n in np.argsort(-cosines) if n % 3 and n < 4000][:20]
            found = built.ids(vectorQueries=[near(*asked.tolist(), k=20)], filter="n ge 0 and n lt 4000", top=50)
            assert found == [f"k{n}" for n in left]
