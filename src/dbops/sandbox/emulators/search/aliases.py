"""Aliases: a second name for one index, for documents and for its definition, but not for its deletion."""

from typing import Any

from dbops.sandbox.emulators.search.answers import Failure, invalid
from dbops.sandbox.emulators.search.catalog import Catalog
from dbops.sandbox.emulators.search.definitions import check_name
from dbops.sandbox.emulators.search.given import is_list, is_object


def completed(given: Any, name: str | None, catalog: Catalog) -> dict[str, Any]:
    """Check an alias that a client sent."""
    if not is_object(given):
        raise invalid("The alias is no JSON object.", parameter="alias")
    told = {key: value for key, value in given.items() if not key.startswith("@odata.")}
    told.setdefault("name", name)
    if name is not None and told["name"] != name:
        raise invalid(f"The alias name in the URL, '{name}', is not the one in the body.", parameter="alias")
    check_name(told["name"])
    indexes = told.get("indexes")
    if not is_list(indexes) or len(indexes) != 1:
        raise invalid("An alias maps to exactly one index.", code="InvalidAlias", parameter="alias")
    if catalog.read("index", told["name"]) is not None:
        raise Failure(409, f"'{told['name']}' is the name of an index already.", code="ResourceNameAlreadyInUse")
    if not isinstance(indexes[0], str) or catalog.read("index", indexes[0]) is None:
        raise invalid(f"The index '{indexes[0]}' does not exist.", code="UnknownIndex", parameter="alias")
    return told


def index_of(name: str, catalog: Catalog) -> str:
    """Return the index that a name stands for: itself, or what the alias of that name maps to."""
    alias = catalog.read("alias", name)
    return name if alias is None else str(alias.body["indexes"][0])


def pointing_to(index: str, catalog: Catalog) -> list[str]:
    return [alias.name for alias in catalog.listed("alias") if index in alias.body["indexes"]]
