"""The fields of an index: the attributes they get when nothing is said, and what may not be combined."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from dbops.sandbox.emulators.search.analyzers import PREDEFINED
from dbops.sandbox.emulators.search.answers import Failure, invalid, unsupported
from dbops.sandbox.emulators.search.given import is_list, is_object

Field = dict[str, Any]

PRIMITIVE = frozenset(
    "Edm." + name for name in ("String", "Int32", "Int64", "Double", "Boolean", "DateTimeOffset", "GeographyPoint")
)
COMPLEX, COMPLEX_COLLECTION = "Edm.ComplexType", "Collection(Edm.ComplexType)"
VECTORS = frozenset(f"Collection(Edm.{name})" for name in ("Single", "Half", "Int16", "SByte", "Byte"))
COLLECTIONS = frozenset(f"Collection({name})" for name in PRIMITIVE)
TYPES = PRIMITIVE | COLLECTIONS | VECTORS | {COMPLEX, COMPLEX_COLLECTION}
TEXT = frozenset({"Edm.String", "Collection(Edm.String)"})

MOST_FIELDS, DEEPEST, MOST_COMPLEX_COLLECTIONS = 1000, 10, 40
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_ANALYZERS = ("analyzer", "searchAnalyzer", "indexAnalyzer")


@dataclass(frozen=True, slots=True)
class Named:
    """What an index defines beside its fields, and fields refer to by name."""

    analyzers: Collection[str]
    profiles: Collection[str]
    synonym_maps: Collection[str]


def is_complex(field: Field) -> bool:
    return field["type"] in (COMPLEX, COMPLEX_COLLECTION)


def is_collection(field: Field) -> bool:
    return field["type"].startswith("Collection(")


def walk(fields: list[Field], above: str = "") -> Iterator[tuple[str, Field]]:
    """Name every field with its path (`address/city`), a complex one before what it holds."""
    for field in fields:
        path = above + field["name"]
        yield path, field
        if is_complex(field):
            yield from walk(field["fields"], path + "/")


def completed(field: Any, *, many: bool = False, above: str = "") -> Field:
    """Give a field all its attributes. `many`: it lies in a collection, so that a document has several of it."""
    if not is_object(field) or not isinstance(field.get("name"), str) or not isinstance(field.get("type"), str):
        raise invalid("Each field must have a name and a type.", code="InvalidField")
    _check_name(field["name"])
    path = above + field["name"]
    if field["type"] not in TYPES:
        raise invalid(f"Field '{path}' has the type '{field['type']}', which is not valid.", code="InvalidField")
    if field["type"] in (COMPLEX, COMPLEX_COLLECTION):
        return _complex(field, path, many=many)
    given = {name: value for name, value in field.items() if value is not None}
    return {**_defaults(field["type"], many=many, top=not above), **given}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Invalid field name: '{name}'. Field names must begin with a letter and can contain only letters, digits, "
            "or underscore ('_').",
            code="InvalidField",
        )
    if name.lower().startswith("azuresearch"):
        raise invalid(
            f"Invalid field name: '{name}'. Field names cannot begin with 'azureSearch'.", code="InvalidField"
        )


def _complex(field: Field, path: str, *, many: bool) -> Field:
    inner = field.get("fields")
    if not is_list(inner) or not inner:
        raise invalid(f"Complex field '{path}' must have sub-fields.", code="InvalidField")
    flags = ("searchable", "filterable", "sortable", "facetable", "key", "retrievable", "stored")
    if wrong := [name for name in (*flags, *_ANALYZERS, "dimensions", "vectorSearchProfile") if field.get(name)]:
        raise invalid(f"Complex field '{path}' must not have '{wrong[0]}'.", code="InvalidField")
    several = many or field["type"] == COMPLEX_COLLECTION
    kept = {name: value for name, value in field.items() if name not in flags and value is not None}
    return {**kept, "fields": [completed(one, many=several, above=path + "/") for one in inner]}


def _defaults(kind: str, *, many: bool, top: bool) -> Field:
    vector, geography = kind in VECTORS, "GeographyPoint" in kind
    several = many or kind.startswith("Collection(")
    return {
        "name": None,
        "type": kind,
        "searchable": kind in TEXT or vector,
        "filterable": not vector,
        "retrievable": not vector,
        "stored": True,
        "sortable": not several,
        "facetable": not vector and not geography,
        **({"key": False} if top else {}),
        "indexAnalyzer": None,
        "searchAnalyzer": None,
        "analyzer": None,
        "dimensions": None,
        "vectorSearchProfile": None,
        "vectorEncoding": None,
        "synonymMaps": [],
    }


def check_all(fields: list[Field], named: Named) -> None:
    """Refuse what no index may have; the fields are completed."""
    _check_siblings(fields)
    _check_limits(fields)
    keys = [field["name"] for field in fields if field.get("key")]
    if len(keys) != 1:
        raise invalid(
            f"Found {len(keys)} key fields in the index. Each index must have exactly one key field.",
            code="InvalidKeyField",
        )
    _check_level(fields, named, many=False, above="")


def _check_siblings(fields: list[Field]) -> None:
    seen: set[str] = set()
    for field in fields:
        name = field["name"].lower()
        if name in seen:
            raise invalid(f"Found the field '{field['name']}' more than once.", code="DuplicateField")
        seen.add(name)
        if is_complex(field):
            _check_siblings(field["fields"])


def _check_limits(fields: list[Field]) -> None:
    every = list(walk(fields))
    if len(every) > MOST_FIELDS:
        raise invalid(f"The index has {len(every)} fields; the limit is {MOST_FIELDS}.", code="TooManyFields")
    if any(path.count("/") >= DEEPEST for path, _ in every):
        raise invalid(f"Fields are nested deeper than {DEEPEST} levels.", code="TooDeep")
    if sum(field["type"] == COMPLEX_COLLECTION for _, field in every) > MOST_COMPLEX_COLLECTIONS:
        raise invalid(f"The limit is {MOST_COMPLEX_COLLECTIONS} complex collections.", code="TooManyCollections")


def _check_level(fields: list[Field], named: Named, *, many: bool, above: str) -> None:
    for field in fields:
        path = above + field["name"]
        if is_complex(field):
            several = many or is_collection(field)
            _check_level(field["fields"], named, many=several, above=path + "/")
        else:
            check_one(field, path, named, many=many)


def check_one(field: Field, path: str, named: Named, *, many: bool) -> None:
    """Refuse attributes that do not fit the type of a field, or point to nothing."""
    kind = field["type"]
    if field.get("normalizer"):
        raise unsupported("normalizers")
    if field.get("key"):
        _check_key(field, path)
    if field["sortable"] and (many or is_collection(field)):
        raise _wrong(path, "sortable", "a document can have several values of it")
    if field["facetable"] and "GeographyPoint" in kind:
        raise _wrong(path, "facetable", "it is a geography point")
    if field["searchable"] and kind not in TEXT and kind not in VECTORS:
        raise _wrong(path, "searchable", f"its type is '{kind}'")
    if kind in VECTORS:
        _check_vector(field, path, named)
    elif field["dimensions"] is not None or field["vectorSearchProfile"] is not None:
        raise _wrong(path, "dimensions", "it is no vector field")
    elif not field["stored"]:
        raise _wrong(path, "stored=false", "it is no vector field")
    _check_analyzers(field, path, named)
    _check_synonyms(field, path, named)


def _wrong(path: str, attribute: str, why: str) -> Failure:
    return invalid(f"Field '{path}' cannot be {attribute}, because {why}.", code="InvalidField")


def _check_key(field: Field, path: str) -> None:
    if "/" in path or field["type"] != "Edm.String":
        raise invalid(f"The key field '{path}' must be a top-level field of type Edm.String.", code="InvalidKeyField")
    if not field["retrievable"]:
        raise invalid(f"The key field '{path}' must be retrievable.", code="InvalidKeyField")


def _check_vector(field: Field, path: str, named: Named) -> None:
    if field["type"] == "Collection(Edm.Byte)":
        raise unsupported("packed binary vectors (Collection(Edm.Byte))")
    if "/" in path:
        raise unsupported("vector fields inside complex fields")
    for flag in ("filterable", "sortable", "facetable"):
        if field[flag]:
            raise _wrong(path, flag, "it is a vector field")
    if not field["searchable"]:
        raise invalid(f"The vector field '{path}' must be searchable.", code="InvalidField")
    size = field["dimensions"]
    if type(size) is not int or not 2 <= size <= 4096:
        raise invalid(f"The vector field '{path}' must have 'dimensions' between 2 and 4096.", code="InvalidField")
    if field["vectorSearchProfile"] is None:
        raise invalid(f"The vector field '{path}' must have the property 'vectorSearchProfile'.", code="InvalidField")
    if field["vectorSearchProfile"] not in named.profiles:
        raise invalid(
            f"The vector field '{path}' names the profile '{field['vectorSearchProfile']}', which is not defined.",
            code="InvalidField",
        )
    if field["retrievable"] and not field["stored"]:
        raise _wrong(path, "retrievable", "it is not stored")


def _check_analyzers(field: Field, path: str, named: Named) -> None:
    given = [name for name in _ANALYZERS if field[name] is not None]
    if not given:
        return
    if field["type"] not in TEXT or not field["searchable"]:
        raise _wrong(path, f"given '{given[0]}'", "it is no searchable text")
    if given not in (["analyzer"], ["searchAnalyzer", "indexAnalyzer"]):
        raise invalid(
            f"Field '{path}' must have either 'analyzer' or both 'searchAnalyzer' and 'indexAnalyzer'.",
            code="InvalidField",
        )
    for name in given:
        if field[name] not in PREDEFINED and field[name] not in named.analyzers:
            raise invalid(f"Field '{path}' names the unknown analyzer '{field[name]}'.", code="UnknownAnalyzer")


def _check_synonyms(field: Field, path: str, named: Named) -> None:
    maps = field["synonymMaps"]
    if not maps:
        return
    if field["type"] not in TEXT or not field["searchable"]:
        raise _wrong(path, "given synonym maps", "it is no searchable text")
    if len(maps) > 1:
        raise invalid(f"Field '{path}' has more than one synonym map.", code="InvalidField")
    if maps[0] not in named.synonym_maps:
        raise invalid(f"Field '{path}' names the synonym map '{maps[0]}', which does not exist.", code="InvalidField")
