"""Synonym maps: kept as they are; fields refer to them by name."""

import re
from typing import Any

from dbops.sandbox.emulators.search.answers import invalid
from dbops.sandbox.emulators.search.given import is_object

_NAME = re.compile(r"(?!.*[-_]{2})[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_MOST_RULES = 20_000


def completed(given: Any, name: str | None) -> dict[str, Any]:
    """Check a synonym map that a client sent."""
    if not is_object(given):
        raise invalid("The synonym map is no JSON object.", parameter="synonymMap")
    told = {key: value for key, value in given.items() if not key.startswith("@odata.")}
    told.setdefault("name", name)
    if name is not None and told["name"] != name:
        raise invalid(f"The name in the URL, '{name}', is not the one in the body.", parameter="synonymMap")
    if not isinstance(told["name"], str) or not _NAME.fullmatch(told["name"]):
        raise invalid(f"Invalid synonym map name: '{told['name']}'.", code="InvalidName", parameter="synonymMap")
    if told.setdefault("format", "solr") != "solr":
        raise invalid("The only format of synonym maps is 'solr'.", parameter="synonymMap")
    if not isinstance(told.get("synonyms"), str):
        raise invalid("A synonym map must have 'synonyms'.", parameter="synonymMap")
    _check_rules(told["synonyms"])
    return {"encryptionKey": None, **told}


def _check_rules(text: str) -> None:
    rules = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(rules) > _MOST_RULES:
        raise invalid(f"A synonym map can have {_MOST_RULES} rules.", parameter="synonymMap")
    for rule in rules:
        left, arrow, right = rule.partition("=>")
        if not left.strip() or (arrow and not right.strip()):
            raise invalid(f"'{rule}' is no rule of synonyms.", code="InvalidSynonyms", parameter="synonymMap")
