"""Vector queries: exact nearest neighbours, and the fusion of several rankings."""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import orjson

from dbops.sandbox.emulators.search.query.fields import Field, Schema
from dbops.sandbox.emulators.search.query.matrix import Ids, Matrix
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.source import Source
from dbops.sandbox.emulators.search.query.table import Table

_DEFAULT_K = 50
_FUSION = 60
_RECALL = 1000  # how many matches of the text take part in a fusion
_KNOWN = {"kind", "vector", "fields", "k", "exhaustive", "weight", "oversampling"}
Ranking = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Question:
    vector: list[float]
    fields: tuple[Field, ...]
    k: int
    weight: float


def read(schema: Schema, asked: Any) -> list[Question]:
    """Understand the vector queries of a request."""
    if not asked:
        return []
    if not isinstance(asked, list):
        raise Invalid("The parameter 'vectorQueries' must be an array.")
    return [_question(schema, told) for told in cast("list[Any]", asked)]


def nearest(table: Table, questions: list[Question], among: tuple[str, list[Any]], text: Source | None) -> Source:
    """Rank the rows that `among` leaves; with a text or with several vectors, the rankings are fused."""
    condition, values = among
    # As one JSON array: a hundred thousand rows would take SQLite's module twice the time.
    (listed,) = table.connection.execute(
        f"SELECT json_group_array(n) FROM (SELECT d.n AS n FROM {table.docs} d WHERE {condition} ORDER BY d.n)",  # noqa: S608
        values,
    ).fetchone()
    ids = np.array(orjson.loads(listed), np.int64)
    rankings = [
        (question.weight, _ranking(table, field, question, ids)) for question in questions for field in question.fields
    ]
    if text is not None:
        rankings.insert(0, (1.0, _text_ranking(table, text)))
    return _source(table, rankings[0][1] if len(rankings) == 1 else fuse(rankings))


def fuse(rankings: list[tuple[float, Ranking]]) -> Ranking:
    """Fuse by reciprocal rank: the first of one ranking gets 1/60."""
    scores: dict[int, float] = {}
    for weight, ranking in rankings:
        for rank, (n, _) in enumerate(ranking):
            scores[n] = scores.get(n, 0.0) + weight / (_FUSION + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


def _source(table: Table, ranking: Ranking) -> Source:
    return Source(
        f"json_each(?) h CROSS JOIN {table.docs} d ON d.n = h.value",
        "1",
        [orjson.dumps([n for n, _ in ranking]).decode()],
        [],
        "h.key",
        scores=dict(ranking),
        ranked=True,
    )


def _text_ranking(table: Table, text: Source) -> Ranking:
    rows = table.connection.execute(
        f"SELECT d.n, {text.score} FROM {text.tables} WHERE {text.where} ORDER BY 2, 1 LIMIT {_RECALL}",  # noqa: S608
        text.values,
    )
    return [(n, -score) for n, score in rows]


def _ranking(table: Table, field: Field, question: Question, among: Ids) -> Ranking:
    metric = _metric(table.schema.definition, field)
    matrix = table.matrices.get(field.name)
    if matrix is None:
        matrix = table.matrices[field.name] = Matrix(table.vectors_of(field), field.dimensions or 0)
    matrix.load(table.connection)
    return matrix.nearest(question.vector, metric, among, question.k)


def _metric(definition: dict[str, Any], field: Field) -> str:
    told: dict[str, Any] = definition.get("vectorSearch") or {}
    profile = _named(told.get("profiles"), field.profile)
    algorithm = _named(told.get("algorithms"), profile.get("algorithm"))
    parameters: dict[str, Any] = algorithm.get("hnswParameters") or algorithm.get("exhaustiveKnnParameters") or {}
    metric: str = parameters.get("metric") or "cosine"
    if metric not in ("cosine", "dotProduct", "euclidean"):
        raise Unsupported(f"the vector metric {metric}")
    return metric


def _named(told: list[dict[str, Any]] | None, name: str | None) -> dict[str, Any]:
    for one in told or ():
        if one.get("name") == name:
            return one
    return {}


def _question(schema: Schema, told: Any) -> Question:
    if not isinstance(told, dict):
        raise Invalid("A vector query must be an object.")
    return _understood(schema, cast("dict[str, Any]", told))


def _understood(schema: Schema, told: dict[str, Any]) -> Question:
    kind = told.get("kind")
    if kind in ("text", "imageUrl", "imageBinary"):
        raise Unsupported(f"vector queries of kind {kind}")
    if kind != "vector":
        raise Invalid(f"The value '{kind}' of the vector query's 'kind' is not valid.")
    if unknown := [name for name, value in told.items() if name not in _KNOWN and value is not None]:
        raise Unsupported(f"vector queries with {', '.join(unknown)}")
    fields = tuple(_field(schema, path.strip()) for path in str(told.get("fields") or "").split(","))
    vector = _vector(told.get("vector"))
    for field in fields:
        if len(vector) != field.dimensions:
            raise Invalid(
                f"The vector query field '{field.name}' has {field.dimensions} dimensions, and the vector of the query"
                f" has {len(vector)}: they must be the same."
            )
    k = told.get("k")
    if k is not None and (not isinstance(k, int) or k < 1):
        raise Invalid(f"The value '{k}' of the vector query's 'k' is not valid: it must be positive.")
    weight = told.get("weight")
    if weight is not None and (not isinstance(weight, int | float) or not weight > 0):
        raise Invalid(f"The value '{weight}' of the vector query's 'weight' is not valid: it must be greater than 0.")
    return Question(vector, fields, k or _DEFAULT_K, 1.0 if weight is None else float(weight))


def _field(schema: Schema, path: str) -> Field:
    field = schema.by_path.get(path)
    if field is None:
        raise Invalid(f"Unknown field '{path}' in vector field list.")
    if field.dimensions is None or not field.searchable:
        raise Invalid(f"The field '{path}' in the vector field list is not a searchable vector field.")
    if field.type == "Edm.Byte":
        raise Unsupported("vector queries over packed bits")
    return field


def _vector(told: Any) -> list[float]:
    if not isinstance(told, list):
        raise Invalid("The vector query's 'vector' must be an array of numbers.")
    numbers = cast("list[Any]", told)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise Invalid("The vector query's 'vector' must be an array of numbers.")
    return numbers
