"""Everything that is wrong with a configuration: all at once, each with its place and the nearest valid word."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ValidationError

from dbops.config.model import TARGET_NAME, Config

_PLAIN_KEY = re.compile(r"[\w{}.-]{1,64}")
_SECTIONS = ("cluster", "postgres", "redis")


def of_error(error: ValidationError) -> list[str]:
    """Say what each key did wrong."""
    return [_problem(dict(one)) for one in error.errors(include_url=False, include_input=False)]


def _problem(error: dict[str, Any]) -> str:
    # pydantic names the branch of a union in the path: it is no key of the file
    path = [part for part in error["loc"] if not (isinstance(part, str) and part in {"SecretFile", "constrained-str"})]
    path = [part for part in path if not str(part).startswith("function-")]
    where = _place(path)
    if error["type"] == "extra_forbidden":
        return f"{where}: no such key{_near(str(path[-1]), _keys_at(path[:-1]))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}"


def _place(path: Iterable[Any]) -> str:
    return ".".join(_key(str(part)) for part in path)


def _key(text: str) -> str:
    """Quote what a hostile key could do to the line that speaks of it."""
    return text if _PLAIN_KEY.fullmatch(text) else json.dumps(text[:64])


def _keys_at(path: Iterable[Any]) -> list[str]:
    """Walk the model along a path and name the keys that are valid there."""
    here: Any = Config
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {(f.alias or name): f.annotation for name, f in here.model_fields.items()}
            here = fields.get(str(part))
        else:  # dict[str, Model] or tuple[Model, ...]: one step down into its Model
            here = next(_models(here), None)
    return [f.alias or name for model in (*_models(here),) for name, f in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


Raw = Mapping[str, Any]


def across(raw: Raw) -> list[str]:
    """Tell what no single key can know. Looks at what TOML said, so that one wrong key does not hide the rest."""
    return [*_names(raw), *_references(raw), *_zone(raw)]


def _names(raw: Raw) -> Iterator[str]:
    owners: dict[str, str] = {}
    for section in _SECTIONS:
        for name in _table(raw, section):
            if not re.fullmatch(TARGET_NAME.rstrip("$"), name):
                yield f"{section}.{_key(name)}: a target's name is small letters, digits, '_' and '-', at most 48"
            if name in owners:
                taken = f"{owners[name]}.{_key(name)} has this name already"
                yield f"{section}.{_key(name)}: {taken}; names are unique over all sections"
            owners[name] = section


def _references(raw: Raw) -> Iterator[str]:
    for name, place in _tables(raw, "postgres"):
        yield from _absent(f"postgres.{_key(name)}.cluster", "cluster", [place.get("cluster")], raw)
    yield from _absent("platform.ledger", "postgres", [_table(raw, "platform").get("ledger")], raw)
    for name, role in _tables(raw, "roles"):
        yield from _absent(f"roles.{_key(name)}.clusters", "cluster", role.get("clusters"), raw)
    for number, grant in enumerate(_list(raw.get("grants"))):
        if isinstance(grant, dict):
            told = cast("dict[str, Any]", grant)
            yield from _absent(f"grants.{number}.databases", "postgres", told.get("databases"), raw)
            yield from _absent(f"grants.{number}.to", "roles", [told.get("to")], raw)


def _absent(key: str, section: str, named: Any, raw: Raw) -> Iterator[str]:
    known = list(_table(raw, section))
    for name in _list(named):
        if isinstance(name, str) and name not in known:
            yield f"{key}: there is no [{section}.{_key(name)}]{_near(name, known)}"


def _zone(raw: Raw) -> Iterator[str]:
    zone = _table(raw, "platform").get("zone")
    if isinstance(zone, str) and zone != "UTC":
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield f"platform.zone: there is no time zone {zone[:64]!r} here; write one such as Europe/Berlin"


def _table(raw: Raw, section: str) -> dict[str, Any]:
    told = raw.get(section)
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _tables(raw: Raw, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, told in _table(raw, section).items():
        if isinstance(told, dict):
            yield name, cast("dict[str, Any]", told)


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _near(word: str, valid: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(valid), n=1)
    return f"; did you mean {_key(near[0])!r}?" if near else ""
