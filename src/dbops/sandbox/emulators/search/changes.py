"""What may be changed in an index that exists: the service cannot rebuild what it has already written."""

from typing import Any

from dbops.sandbox.emulators.search import fields as rules
from dbops.sandbox.emulators.search.answers import Failure

Definition = dict[str, Any]
# Used when a document is read or a query is made, not when it was written.
_FREE = frozenset({"retrievable", "searchAnalyzer", "synonymMaps", "description"})
_DOWNTIME = ("analyzers", "tokenizers", "tokenFilters", "charFilters")


def check(old: Definition, new: Definition, *, downtime: bool) -> None:
    """Refuse a new definition that the service would refuse; both are completed."""
    before, after = dict(rules.walk(old["fields"])), dict(rules.walk(new["fields"]))
    for path, field in before.items():
        if path not in after:
            raise _refused("CannotDeleteExistingField", f"Existing field '{path}' cannot be deleted.")
        if _fixed(field) != _fixed(after[path]):
            raise _refused("CannotChangeExistingField", f"Existing field '{path}' cannot be changed.")
    _check_suggesters(old, new, set(before))
    _check_vectors(old, new)
    _check_analysis(old, new, downtime=downtime)


def _refused(code: str, message: str) -> Failure:
    return Failure(400, message, code="OperationNotAllowed", details=((code, message),))


def _fixed(field: rules.Field) -> dict[str, Any]:
    """Return what stays as it is; sub-fields are compared by their own paths."""
    return {name: value for name, value in field.items() if name not in _FREE and name != "fields"}


def _check_suggesters(old: Definition, new: Definition, existing: set[str]) -> None:
    before = {one["name"]: set(one["sourceFields"]) for one in old["suggesters"]}
    for one in new["suggesters"]:
        added = set(one["sourceFields"]) - before.get(one["name"], set())
        if one["name"] in before and set(one["sourceFields"]) < before[one["name"]]:
            raise _refused("CannotChangeSuggester", f"Existing suggester '{one['name']}' cannot lose fields.")
        if wrong := sorted(added & existing):
            raise _refused(
                "CannotAddFieldToSuggester",
                f"Fields that were already present in the index ({', '.join(wrong)}) cannot be added to a suggester.",
            )


def _check_vectors(old: Definition, new: Definition) -> None:
    """Hold the metric of vectors that are indexed already, by whatever way a profile leads to it."""
    for path, field in rules.walk(old["fields"]):
        profile = field.get("vectorSearchProfile")
        if profile is not None and _algorithm(old, profile) != _algorithm(new, profile):
            raise _refused(
                "CannotChangeVectorSearch", f"The algorithm of the existing vector field '{path}' cannot be changed."
            )


def _algorithm(definition: Definition, profile: str) -> tuple[Any, ...]:
    whole: Definition = definition["vectorSearch"] or {}
    names: list[Any] = [one.get("algorithm") for one in _parts(whole, "profiles") if one["name"] == profile]
    for one in _parts(whole, "algorithms"):
        if one["name"] in names:
            parameters: Definition = one.get("hnswParameters") or one.get("exhaustiveKnnParameters") or {}
            return one["kind"], parameters.get("metric"), parameters.get("m"), parameters.get("efConstruction")
    return ()


def _parts(whole: Definition, part: str) -> list[Definition]:
    return whole.get(part) or []


def _check_analysis(old: Definition, new: Definition, *, downtime: bool) -> None:
    if downtime:
        return
    for part in _DOWNTIME:
        if old[part] != new[part]:
            raise _refused(
                "CannotChangeWithoutDowntime",
                f"Index changes to '{part}' would cause downtime. To take that, set the 'allowIndexDowntime' query "
                "parameter to 'true'.",
            )
