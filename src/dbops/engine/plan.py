"""A plan is data: it can be shown, compared, hashed and tested before anything happens."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeVar

from dbops.engine.finding import Finding
from dbops.engine.keywords import KEYWORDS
from dbops.errors import DbopsError

Action = TypeVar("Action")

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class Risk(IntEnum):
    """How much a step can hurt, and so who has to agree to it."""

    SAFE = 0
    BLOCKS = 1  # takes a lock the application can feel, or removes what has a verified copy
    LOSES_DATA = 2  # removes what has no verified copy

    @property
    def label(self) -> str:
        return ("safe", "blocks", "loses data")[self]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """What the server itself wrote and quoted, such as a routine's signature: never to be quoted again."""

    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as text and parameters: `{}` holds a name, `%s` a value, `%%` a per cent sign.

    The preview shows it with `shown`; psycopg composes it only where it is executed.
    """

    text: str
    names: tuple[tuple[str, ...] | Verbatim, ...] = ()
    values: tuple[str, ...] = ()

    def shown(self) -> str:
        names = iter(self.names)
        values = iter(self.values)

        def fill(match: re.Match[str]) -> str:
            if match[0] == "%%":
                return "%"
            return qualified(next(names)) if match[0] == "{}" else literal(next(values))

        return re.sub(r"\{\}|%s|%%", fill, self.text)


def qualified(name: tuple[str, ...] | Verbatim) -> str:
    """Quote a name where PostgreSQL needs it, so that what is shown can be typed."""
    return name.text if isinstance(name, Verbatim) else ".".join(_quoted(part) for part in name)


def _quoted(part: str) -> str:
    plain = _PLAIN_NAME.fullmatch(part) and part not in KEYWORDS
    return part if plain else '"' + part.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Quote a text whatever standard_conforming_strings says."""
    quoted = value.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else f"'{quoted}'"


@dataclass(frozen=True, slots=True)
class Step(Generic[Action]):
    """One thing to do. The action is data; the operation's `apply` gives it meaning."""

    id: str  # stable from run to run: the journal speaks of it
    summary: str  # one line, for the preview
    action: Action
    risk: Risk = Risk.SAFE
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()  # what to know before agreeing: locks, sessions, sizes


@dataclass(frozen=True, slots=True)
class Plan(Generic[Action]):
    """What one command will do to one target, in order."""

    target: str
    title: str
    steps: tuple[Step[Action], ...] = ()

    @property
    def risk(self) -> Risk:
        return max((step.risk for step in self.steps), default=Risk.SAFE)

    @property
    def sha(self) -> str:
        """Identify what would be done; notes (who is connected just now) do not count."""
        steps = [[s.id, s.summary, int(s.risk), [t.shown() for t in s.statements]] for s in self.steps]
        whole = json.dumps([self.target, self.title, steps], ensure_ascii=True)
        return hashlib.sha256(whole.encode()).hexdigest()


def _nothing_to_guard() -> None: ...


@dataclass(frozen=True, slots=True)
class Ready(Generic[Action]):
    """A plan with all that is needed to run it, while its connection and its lock are held open."""

    plan: Plan[Action]
    apply: Callable[[Step[Action]], None]
    guard: Callable[[], None] = _nothing_to_guard  # raises when the lock was lost; asked before each step
    findings: tuple[Finding, ...] = field(default=())
    met: Sequence[Finding] = ()  # what the steps come upon: it grows while the plan is run
    goes_on_after: tuple[type[DbopsError], ...] = ()  # failures of one step that leave the others their turn

    @property
    def target(self) -> str:
        return self.plan.target
