"""What a path asks for: the service takes `/indexes('a')/docs('k')` and `/indexes/a/docs/k` alike."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

_CALL = re.compile(r"([^()']+)\('((?:[^']|'')*)'\)")
# The first form is what current clients send, the second what the REST documentation showed for years.
_ALIKE = {
    "docs/search.index": "docs/index",
    "docs/search.post.search": "docs/search",
    "search.stats": "stats",
    "search.analyze": "analyze",
}


@dataclass(frozen=True, slots=True)
class Route:
    """A collection of resources, one of them, and what is done with it."""

    collection: str
    name: str | None = None
    action: str = ""
    key: str | None = None  # of a document


@lru_cache(maxsize=1024)  # clients ask for the same few places
def parse(path: str) -> Route:
    parts: list[str] = []
    named: list[bool] = []
    for segment in path.strip("/").split("/"):
        text = unquote(segment)
        if call := _CALL.fullmatch(text):
            parts += [call[1], call[2].replace("''", "'")]
            named += [False, True]
        else:
            parts.append(text)
            named.append(False)
    collection, *rest = parts
    if not rest:
        return Route(collection)
    name, *rest = rest
    if len(rest) == 2 and rest[0] == "docs" and (named[3] or _is_key(rest[1])):
        return Route(collection, name, "docs/key", rest[1])
    action = "/".join(rest)
    return Route(collection, name, _ALIKE.get(action, action))


def _is_key(text: str) -> bool:
    """Tell a document from an operation in the old form, where both stand at the same place."""
    return not text.startswith(("$", "search.")) and text not in {"index", "search", "suggest", "autocomplete"}
