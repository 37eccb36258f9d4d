"""What an index may be defined as: names, references between its parts, and how the service writes it back."""

import re
from collections.abc import Collection
from typing import Any

from dbops.sandbox.emulators.search import expected
from dbops.sandbox.emulators.search import fields as rules
from dbops.sandbox.emulators.search.answers import invalid
from dbops.sandbox.emulators.search.given import is_object

Definition = dict[str, Any]
_INDEX_NAME = re.compile(r"(?!.*[-_]{2})[a-z0-9][a-z0-9_-]{1,127}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_LISTS = ("scoringProfiles", "suggesters", "analyzers", "tokenizers", "tokenFilters", "charFilters")
_SIMILARITY = {"@odata.type": "#Microsoft.Azure.Search.BM25Similarity", "k1": None, "b": None}
_PARAMETERS = {
    "hnsw": ("hnswParameters", {"metric": "cosine", "m": 4, "efConstruction": 400, "efSearch": 500}),
    "exhaustiveKnn": ("exhaustiveKnnParameters", {"metric": "cosine"}),
}
_METRICS = ("cosine", "euclidean", "dotProduct")


def check_name(name: Any) -> str:
    """Refuse a name that neither an index nor an alias may have."""
    if not isinstance(name, str) or not _INDEX_NAME.fullmatch(name):
        raise invalid(
            f"Invalid index name: '{name}'. Index names must only contain lowercase letters, digits, dashes or "
            "underscores, cannot start or end with dashes, have no two of them in a row, "
            "and are limited to 128 characters.",
            code="InvalidName",
        )
    return name


def completed(given: Any, name: str | None, synonym_maps: Collection[str]) -> Definition:
    """Check what a client sent, and give it all that the service adds. What we do not know is kept."""
    if not is_object(given):
        raise invalid("The index is no JSON object.", parameter="index")
    expected.check(given, expected.INDEX, "")
    told = {key: value for key, value in given.items() if not key.startswith("@odata.")}
    told.setdefault("name", name)
    if name is not None and told["name"] != name:
        raise invalid(f"The index name in the URL, '{name}', is not the one in the body, '{told['name']}'.")
    check_name(told["name"])
    if not isinstance(told.get("fields"), list) or not told["fields"]:
        raise invalid("An index must have one or more fields.", code="InvalidField")
    definition: Definition = {"name": told["name"], "defaultScoringProfile": None, **told}
    definition["fields"] = [rules.completed(field) for field in told["fields"]]
    for part in _LISTS:
        definition[part] = _named(told.get(part), part)
    definition["similarity"] = told.get("similarity") or dict(_SIMILARITY)
    for part in ("corsOptions", "encryptionKey", "semantic", "vectorSearch"):
        definition[part] = told.get(part)
    definition["vectorSearch"] = _vector_search(told.get("vectorSearch"))
    _check(definition, synonym_maps)
    return definition


def _named(parts: Any, what: str) -> list[dict[str, Any]]:
    """Check that each part of an index has a name, and no other has the same."""
    if parts is None:
        return []
    seen: set[str] = set()
    for part in parts:
        name = part.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid(f"'{name}' is no valid name in '{what}'.", code="InvalidName")
        if name.lower() in seen:
            raise invalid(f"'{name}' is defined more than once in '{what}'.", code="DuplicateName")
        seen.add(name.lower())
    return parts


def _vector_search(given: Any) -> dict[str, Any] | None:
    if not given:
        return None
    if not is_object(given):
        raise invalid("'vectorSearch' is no JSON object.")
    told = given
    whole = {part: _named(told.get(part), part) for part in ("profiles", "algorithms", "vectorizers", "compressions")}
    algorithms = [_algorithm(one) for one in whole["algorithms"]]
    known = {
        "algorithm": {one["name"] for one in algorithms},
        "compression": {one["name"] for one in whole["compressions"]},
        "vectorizer": {one["name"] for one in whole["vectorizers"]},
    }
    for profile in whole["profiles"]:
        if not profile.get("algorithm"):
            raise invalid(f"The profile '{profile['name']}' names no algorithm.")
        for what, names in known.items():
            if (wanted := profile.get(what)) is not None and wanted not in names:
                raise invalid(f"The profile '{profile['name']}' names the {what} '{wanted}', which is not defined.")
    return {**told, **whole, "algorithms": algorithms}


def _algorithm(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("kind") not in _PARAMETERS:
        raise invalid(f"The algorithm '{given['name']}' has the unknown kind '{given.get('kind')}'.")
    part, defaults = _PARAMETERS[given["kind"]]
    chosen: Definition = given.get(part) or {}
    parameters: Definition = {**defaults, **{name: one for name, one in chosen.items() if one is not None}}
    if parameters["metric"] not in _METRICS:
        raise invalid(f"The algorithm '{given['name']}' has the metric '{parameters['metric']}', which does not fit.")
    return {**given, part: parameters}


def _check(definition: Definition, synonym_maps: Collection[str]) -> None:
    vectors: dict[str, list[Definition]] = definition["vectorSearch"] or {}
    named = rules.Named(
        analyzers={one["name"] for one in definition["analyzers"]},
        profiles={one["name"] for one in vectors.get("profiles", [])},
        synonym_maps=synonym_maps,
    )
    rules.check_all(definition["fields"], named)
    known = dict(rules.walk(definition["fields"]))
    _check_suggesters(definition["suggesters"], known)
    _check_scoring(definition, known)
    _check_semantic(definition["semantic"], known)


def _check_suggesters(suggesters: list[dict[str, Any]], known: dict[str, rules.Field]) -> None:
    if len(suggesters) > 1:
        raise invalid("An index can have only one suggester.", code="TooManySuggesters")
    for one in suggesters:
        if one.get("searchMode") != "analyzingInfixMatching":
            raise invalid(f"The suggester '{one['name']}' must have the searchMode 'analyzingInfixMatching'.")
        if not one.get("sourceFields"):
            raise invalid(f"The suggester '{one['name']}' must have source fields.")
        for path in one["sourceFields"]:
            _check_refers(f"The suggester '{one['name']}'", path, known, "searchable", rules.TEXT)


def _check_refers(
    who: str, path: Any, known: dict[str, rules.Field], attribute: str, types: Collection[str] | None = None
) -> None:
    field = known.get(path) if isinstance(path, str) else None
    if field is None:
        raise invalid(f"{who} names the field '{path}', which does not exist.", code="UnknownField")
    if not field.get(attribute) or (types is not None and field["type"] not in types):
        raise invalid(f"{who} names the field '{path}', which is not {attribute}.", code="InvalidField")


def _check_scoring(definition: Definition, known: dict[str, rules.Field]) -> None:
    profiles = definition["scoringProfiles"]
    if len(profiles) > 100:
        raise invalid("An index can have 100 scoring profiles.", code="TooManyScoringProfiles")
    for profile in profiles:
        who = f"The scoring profile '{profile['name']}'"
        text: Definition = profile.get("text") or {}
        weights: Definition = text.get("weights") or {}
        for path in weights:
            _check_refers(who, path, known, "searchable", rules.TEXT)
        functions: list[Definition] = profile.get("functions") or []
        for function in functions:
            _check_refers(who, function.get("fieldName"), known, "filterable")
    default = definition["defaultScoringProfile"]
    if default is not None and default not in [profile["name"] for profile in profiles]:
        raise invalid(f"The default scoring profile '{default}' is not defined.")


def _check_semantic(semantic: Any, known: dict[str, rules.Field]) -> None:
    if not semantic:
        return
    configurations = _named(semantic.get("configurations"), "semantic/configurations")
    for one in configurations:
        for field in _prioritized(one.get("prioritizedFields") or {}):
            who = f"The semantic configuration '{one['name']}'"
            _check_refers(who, field.get("fieldName"), known, "searchable", rules.TEXT)
    default = semantic.get("defaultConfiguration")
    if default is not None and default not in [one["name"] for one in configurations]:
        raise invalid(f"The default semantic configuration '{default}' is not defined.")


def _prioritized(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[list[dict[str, Any]] | None] = [
        [wanted["titleField"]] if wanted.get("titleField") else None,
        wanted.get("prioritizedContentFields"),
        wanted.get("prioritizedKeywordsFields"),
    ]
    return [field for part in parts for field in part or []]
