"""Everything that is wrong with a configuration: all at once, each with its place and the nearest valid word."""

import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ValidationError

from dbops.config import addresses
from dbops.config.fields import TARGET_NAME
from dbops.config.model import Config
from dbops.config.raw import Raw, key, listed, near, table, tables

_SECTIONS = ("cluster", "postgres", "redis", "cosmos", "search")
_VAULT = "vault"


def of_error(error: ValidationError) -> list[str]:
    """Say what each key did wrong."""
    return [_problem(dict(one)) for one in error.errors(include_url=False, include_input=False)]


def _problem(error: dict[str, Any]) -> str:
    # pydantic names the branch of a union in the path: it is no key of the file
    path = [part for part in error["loc"] if not (isinstance(part, str) and part in {"SecretFile", "constrained-str"})]
    path = [part for part in path if not str(part).startswith("function-")]
    where = _place(path)
    if error["type"] == "extra_forbidden":
        return f"{where}: no such key{near(str(path[-1]), _keys_at(path[:-1]))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}"


def _place(path: Iterable[Any]) -> str:
    return ".".join(key(str(part)) for part in path)


def _keys_at(path: Iterable[Any]) -> list[str]:
    """Walk the model along a path and name the keys that are valid there."""
    here: Any = Config
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {(f.alias or name): f.annotation for name, f in here.model_fields.items()}
            here = _unless_none(fields.get(str(part)))
        else:  # dict[str, Model] or tuple[Model, ...]: one step down into its Model
            here = next(_models(here), None)
    return [f.alias or name for model in (*_models(here),) for name, f in model.model_fields.items()]


def _unless_none(annotation: Any) -> Any:
    """Take `Model | None` for the Model: the key led to it already."""
    inner = [one for one in get_args(annotation) if one is not type(None)]
    return inner[0] if len(inner) == 1 and isinstance(annotation, UnionType) else annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def across(raw: Raw) -> list[str]:
    """Tell what no single key can know. Looks at what TOML said, so that one wrong key does not hide the rest."""
    return [*_names(raw), *_references(raw), *_zone(raw), *addresses.problems(raw)]


def _names(raw: Raw) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name in table(table(raw, _VAULT), "copies"):
        if not re.fullmatch(TARGET_NAME.rstrip("$"), name):
            yield f"vault.copies.{key(name)}: a copy's name is small letters, digits, '_' and '-', at most 48"
    for section in _SECTIONS:
        for name in table(raw, section):
            if not re.fullmatch(TARGET_NAME.rstrip("$"), name):
                yield f"{section}.{key(name)}: a target's name is small letters, digits, '_' and '-', at most 48"
            if name in owners:
                taken = f"{owners[name]}.{key(name)} has this name already"
                yield f"{section}.{key(name)}: {taken}; names are unique over all sections"
            elif name == _VAULT and _VAULT in raw:
                yield f"{section}.{key(name)}: the vault itself goes by this name"
            owners[name] = section


def _references(raw: Raw) -> Iterator[str]:
    for name, place in tables(raw, "postgres"):
        yield from _absent(f"postgres.{key(name)}.cluster", "cluster", [place.get("cluster")], raw)
    yield from _absent("platform.ledger", "postgres", [table(raw, "platform").get("ledger")], raw)
    for name, role in tables(raw, "roles"):
        yield from _absent(f"roles.{key(name)}.clusters", "cluster", role.get("clusters"), raw)
    for number, grant in enumerate(listed(raw.get("grants"))):
        if isinstance(grant, dict):
            told = cast("dict[str, Any]", grant)
            yield from _absent(f"grants.{number}.databases", "postgres", told.get("databases"), raw)
            yield from _absent(f"grants.{number}.to", "roles", [told.get("to")], raw)


def _absent(where: str, section: str, named: Any, raw: Raw) -> Iterator[str]:
    known = list(table(raw, section))
    for name in listed(named):
        if isinstance(name, str) and name not in known:
            yield f"{where}: there is no [{section}.{key(name)}]{near(name, known)}"


def _zone(raw: Raw) -> Iterator[str]:
    yield from _unknown_zone("platform.zone", table(raw, "platform").get("zone"))
    for name, place in tables(raw, "postgres"):
        for parent, told in tables(place, "partition"):
            yield from _unknown_zone(f"postgres.{key(name)}.partition.{key(parent)}.zone", told.get("zone"))


def _unknown_zone(where: str, zone: Any) -> Iterator[str]:
    if isinstance(zone, str) and zone != "UTC":
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield f"{where}: there is no time zone {zone[:64]!r} here; write one such as Europe/Berlin"
