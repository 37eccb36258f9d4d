"""Vector and hybrid questions as the SDK asks them."""

import math
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.search.documents.models import VectorizableTextQuery, VectorizedQuery

from searching import Documents, Service, field, vector

POINTS = {"east": [1, 0, 0], "north": [0, 2, 0], "west": [-3, 0, 0], "north_east": [1, 1, 0]}


@pytest.fixture
def points(service: Service) -> Documents:
    documents = service.create(field("side"), field("text"), vector(retrievable=True))
    documents.upload_documents(
        [
            {"id": name, "vec": point, "side": "up" if point[1] else "flat", "text": f"towards {name}"}
            for name, point in POINTS.items()
        ]
    )
    return documents


def near(*numbers: float, **more: Any) -> VectorizedQuery:
    return VectorizedQuery(vector=list(numbers), fields="vec", **more)


def scores(documents: Documents, *queries: Any, text: str | None = None, **asked: Any) -> dict[str, Any]:
    rows = documents.search(text, vector_queries=list(queries), select=["id"], **asked)
    return {row["id"]: pytest.approx(row["@search.score"], rel=1e-6) for row in rows}


def test_cosine_is_scored_as_documented(points: Documents) -> None:
    found = scores(points, near(5, 0, 0, k_nearest_neighbors=10))
    assert list(found) == ["east", "north_east", "north", "west"]
    assert found == {"east": 1.0, "north_east": 1 / (2 - math.sqrt(0.5)), "north": 0.5, "west": 1 / 3}


def test_k_and_a_filter_limit_what_is_near(points: Documents) -> None:
    assert list(scores(points, near(1, 0, 0, k_nearest_neighbors=1))) == ["east"]
    assert list(scores(points, near(1, 0, 0, k_nearest_neighbors=1), filter="side eq 'up'")) == ["north_east"]
    assert (
        scores(points, near(1, 0, 0, k_nearest_neighbors=1), filter="side eq 'up'", vector_filter_mode="postFilter")
        == {}
    )


def test_a_hybrid_question_fuses_ranks(points: Documents) -> None:
    found = scores(points, near(0, 1, 0, k_nearest_neighbors=2), text="west")
    assert found == {"north": 1 / 60, "west": 1 / 60, "north_east": 1 / 61}


def test_vectors_come_back_as_they_went(points: Documents) -> None:
    rows = points.search(vector_queries=[near(1, 1, 0, k_nearest_neighbors=1, exhaustive=True)], select=["id", "vec"])
    assert [(row["id"], row["vec"]) for row in rows] == [("north_east", [1, 1, 0])]


def test_a_wrong_dimension_is_400(points: Documents) -> None:
    with pytest.raises(HttpResponseError, match="3 dimensions") as refused:
        scores(points, near(1, 0))
    assert refused.value.status_code == 400


def test_making_vectors_of_texts_is_not_imitated(points: Documents) -> None:
    with pytest.raises(HttpResponseError, match="kind text") as refused:
        scores(points, VectorizableTextQuery(text="x", fields="vec"))
    assert refused.value.status_code == 501


def test_changed_and_deleted_documents_are_not_near_any_more(points: Documents) -> None:
    assert list(scores(points, near(1, 0, 0, k_nearest_neighbors=1))) == ["east"]
    points.merge_documents([{"id": "east", "vec": [0, 0, 1]}])
    assert list(scores(points, near(1, 0, 0, k_nearest_neighbors=1))) == ["north_east"]
    points.delete_documents([{"id": "north_east"}])
    assert list(scores(points, near(1, 0, 0, k_nearest_neighbors=1))) == ["north"]
    assert list(scores(points, near(0, 0, 1, k_nearest_neighbors=1))) == ["east"]
