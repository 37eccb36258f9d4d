"""A second opinion: squawk reads the SQL and guesses, PostgreSQL has shown. Its rules are mapped to our codes."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dbops import process
from dbops.errors import DependencyMissing
from dbops.operations.migrate.forecast.codes import CODES
from dbops.operations.migrate.forecast.facts import Hazard, Seen
from dbops.operations.migrate.lint.facts import Opinion

_FOUND_SOMETHING = 1
_LIMIT_S = 60.0
_IN_TRANSACTION = "ban-concurrent-index-creation-in-transaction"


def mapped() -> dict[str, tuple[str, ...]]:
    """From squawk's rules to our codes; a rule of style has none."""
    found: dict[str, tuple[str, ...]] = {}
    for code in CODES.values():
        for rule in code.squawk:
            found[rule] = (*found.get(rule, ()), code.code)
    return found


def program() -> Path | None:
    try:
        return process.find("squawk", Path(sys.executable).parent)
    except DependencyMissing:
        return None


def opinions(seen: Sequence[Seen], hazards: Iterable[Hazard]) -> tuple[Opinion, ...] | None:
    """Ask it about statements that may meet rows; without the program there is no opinion: None."""
    found = program()
    if found is None:
        return None
    if not seen:
        return ()
    script, starts = _script(seen)
    argv = [found, "--reporter", "json", "--assume-in-transaction", "--stdin-filepath", "revisions.sql"]
    told = process.run(argv, input=script.encode(), ok=(0, _FOUND_SOMETHING), timeout=_LIMIT_S)
    return read(told.out.decode(), seen, starts, hazards)


def _script(seen: Sequence[Seen]) -> tuple[str, list[int]]:
    """Write the statements one after the other, and tell in which line (from 0) each begins."""
    text, starts = "", list[int]()
    for one in seen:
        starts.append(text.count("\n"))
        text += one.text.rstrip() + ";\n"
    return text, starts


def read(report: str, seen: Sequence[Seen], starts: Sequence[int], hazards: Iterable[Hazard]) -> tuple[Opinion, ...]:
    """Read its report, and compare it with what was seen."""
    codes = mapped()
    ours = {(one.revision, one.number, one.code) for one in hazards}
    found: list[Opinion] = []
    entries: list[dict[str, Any]] = json.loads(report)
    for entry in entries:
        rule = str(entry["rule_name"])
        if rule not in codes:
            continue
        one = seen[max(n for n, line in enumerate(starts) if line <= int(entry["line"]))]
        if one.transaction is None and rule == _IN_TRANSACTION:
            continue  # it was told that all of them share one
        agreed = any((one.revision, one.number, code) in ours for code in codes[rule])
        found.append(Opinion(one.revision, one.number, rule, codes[rule], agreed))
    return tuple(dict.fromkeys(found))
