"""Of which JSON type each known property of a definition is; null stands for "not said" everywhere."""

from typing import Any

from dbops.sandbox.emulators.search.answers import invalid
from dbops.sandbox.emulators.search.given import is_list, is_object

Expected = type | list["Expected"] | dict[str, "Expected"]
"""A type, a list of what it holds, or an object with some known properties (`*`: all of them)."""

_NAMED: list[Expected] = [{"name": str}]
_FIELD: dict[str, Expected] = {
    "name": str,
    "type": str,
    "key": bool,
    "searchable": bool,
    "filterable": bool,
    "sortable": bool,
    "facetable": bool,
    "retrievable": bool,
    "stored": bool,
    "analyzer": str,
    "searchAnalyzer": str,
    "indexAnalyzer": str,
    "normalizer": str,
    "dimensions": int,
    "vectorSearchProfile": str,
    "vectorEncoding": str,
    "synonymMaps": [str],
}
_FIELD["fields"] = [_FIELD]
_SCORING: dict[str, Expected] = {
    "name": str,
    "text": {"weights": {"*": float}},
    "functions": [{"type": str, "fieldName": str, "boost": float, "interpolation": str}],
    "functionAggregation": str,
}
_PRIORITIZED: dict[str, Expected] = {
    "titleField": {"fieldName": str},
    "prioritizedContentFields": [{"fieldName": str}],
    "prioritizedKeywordsFields": [{"fieldName": str}],
}
_HNSW: dict[str, Expected] = {"metric": str, "m": int, "efConstruction": int, "efSearch": int}
_VECTOR_SEARCH: dict[str, Expected] = {
    "profiles": [{"name": str, "algorithm": str, "vectorizer": str, "compression": str}],
    "algorithms": [
        {"name": str, "kind": str, "hnswParameters": _HNSW, "exhaustiveKnnParameters": {"metric": str}},
    ],
    "vectorizers": _NAMED,
    "compressions": _NAMED,
}
INDEX: dict[str, Expected] = {
    "name": str,
    "fields": [_FIELD],
    "defaultScoringProfile": str,
    "scoringProfiles": [_SCORING],
    "suggesters": [{"name": str, "searchMode": str, "sourceFields": [str]}],
    "analyzers": _NAMED,
    "tokenizers": _NAMED,
    "tokenFilters": _NAMED,
    "charFilters": _NAMED,
    "corsOptions": {"allowedOrigins": [str], "maxAgeInSeconds": int},
    "encryptionKey": {},
    "similarity": {"@odata.type": str, "k1": float, "b": float},
    "semantic": {
        "defaultConfiguration": str,
        "configurations": [{"name": str, "prioritizedFields": _PRIORITIZED}],
    },
    "vectorSearch": _VECTOR_SEARCH,
}


def check(value: Any, expected: Expected, path: str) -> None:
    """Refuse a value that is of another type, or that holds one."""
    if value is None:
        return
    match expected:
        case list():
            if not is_list(value):
                raise _wrong(path, "an array")
            for number, one in enumerate(value):
                if one is None:
                    raise _wrong(f"{path}/{number}", "no null")
                check(one, expected[0], f"{path}/{number}")
        case dict():
            if not is_object(value):
                raise _wrong(path, "an object")
            for name, one in value.items():
                if (inner := expected.get(name, expected.get("*"))) is not None:
                    check(one, inner, f"{path}/{name}")
        case _:
            wanted = (int, float) if expected is float else (expected,)
            if type(value) not in wanted:
                raise _wrong(path, f"of the type {expected.__name__}")


def _wrong(path: str, wanted: str) -> Exception:
    return invalid(f"The value of '{path.lstrip('/')}' must be {wanted}.", code="InvalidValue")
