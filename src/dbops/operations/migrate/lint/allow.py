"""Read lint.toml of a target: what is meant to be, each with its reason."""

import tomllib
from pathlib import Path
from typing import Any, cast

from dbops.errors import ConfigInvalid
from dbops.operations.migrate.lint.facts import Agreed, Allowance

_KEYS = {"rule", "object", "reason"}


def read(path: Path, target: str) -> Agreed:
    """Read it; without a file nothing is allowed."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Agreed()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _invalid(path, str(error), target) from error
    if unknown := sorted(set(told) - {"allow", "tenant_columns", "baseline"}):
        raise _invalid(path, f"{unknown[0]} is no key", target)
    allow, columns, baseline = told.get("allow", []), told.get("tenant_columns"), told.get("baseline")
    if not isinstance(baseline, str | None):
        raise _invalid(path, "baseline has to be a revision", target)
    if not isinstance(allow, list):
        raise _invalid(path, "[allow] has to be [[allow]]", target)
    entries = cast("list[Any]", allow)
    allowances = tuple(one for n, entry in enumerate(entries, 1) for one in _allowances(path, n, entry, target))
    if columns is None:
        return Agreed(allowances, baseline=baseline)
    return Agreed(allowances, _texts(path, "tenant_columns", columns, target), baseline)


def _allowances(path: Path, number: int, entry: Any, target: str) -> tuple[Allowance, ...]:
    """Read one [[allow]]; where many objects share a reason, `object` is a list."""
    where = f"[[allow]] {number}"
    if not isinstance(entry, dict):
        raise _invalid(path, f"{where} is no table", target)
    told = cast("dict[str, Any]", entry)
    if unknown := sorted(set(told) - _KEYS):
        raise _invalid(path, f"{where}: {unknown[0]} is no key", target)
    rule, reason, named = told.get("rule"), told.get("reason", ""), told.get("object")
    if not isinstance(rule, str) or not isinstance(reason, str):
        raise _invalid(path, f"{where}: rule and reason are texts", target)
    objects = (named,) if isinstance(named, str) else _texts(path, f"{where}: object", named, target)
    return tuple(Allowance(rule, one, " ".join(reason.split())) for one in objects)


def _texts(path: Path, where: str, value: Any, target: str) -> tuple[str, ...]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    if not entries or not all(isinstance(one, str) for one in entries):
        raise _invalid(path, f"{where} has to be a text, or a list of texts", target)
    return tuple(entries)


def _invalid(path: Path, told: str, target: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"{path}: {told}", hint='[[allow]] with rule = "DBM203", object = "...", reason = "..."', target=target
    )
