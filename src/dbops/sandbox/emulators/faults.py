"""Faults that a test asks an emulator for: which requests they meet, how often, and what then happens."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

_FOR_EVER = -1


@dataclass(slots=True)
class Rule:
    """One fault. `after` lets so many pass first; `times` is how often it happens then (-1: for ever)."""

    kind: str = "http"
    method: str | None = None
    path: str = ""  # a regular expression, searched in the path, or in the subject of another kind
    header: dict[str, str] = field(default_factory=dict[str, str])
    after: int = 0
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    delay_s: float = 0.0
    cut: int | None = None  # so many bytes of the body, then the connection ends; 0: not even the head
    applied: bool = False  # the work is done, and only its answer is lost
    more: dict[str, Any] = field(default_factory=dict[str, Any])  # what the kind wants to know beside
    met: int = 0

    @property
    def spent(self) -> bool:
        return self.times != _FOR_EVER and self.met >= self.after + self.times

    def counts(self) -> bool:
        """Count one that it meets; tell whether the fault happens to it."""
        self.met += 1
        return self.met > self.after


class Faults:
    """The faults that are wanted now, in the order in which they were wished."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def wish(self, rules: Any) -> None:
        """Take a list of rules in place of those before; raises ValueError or TypeError."""
        if not isinstance(rules, list):
            raise TypeError("not a list")
        self._rules = [_rule(cast("dict[str, Any]", one)) for one in cast("list[Any]", rules)]

    def told(self) -> list[dict[str, Any]]:
        return [
            {"kind": r.kind, "path": r.path, "method": r.method, "met": r.met, "spent": r.spent} for r in self._rules
        ]

    def meets(self, method: str, path: str, headers: Mapping[str, str]) -> Rule | None:
        """Find the fault that happens to a request; the first one that it meets counts it."""
        for rule in self._rules:
            if rule.kind == "http" and not rule.spent and _fits(rule, method, path, headers):
                return rule if rule.counts() else None
        return None

    def take(self, kind: str, subject: str) -> dict[str, Any] | None:
        """Find the fault of another kind that happens to a subject, as its rule was written."""
        for rule in self._rules:
            if rule.kind == kind and not rule.spent and re.search(rule.path, subject):
                return rule.more if rule.counts() else None
        return None


def _fits(rule: Rule, method: str, path: str, headers: Mapping[str, str]) -> bool:
    return (
        rule.method in (None, method)
        and re.search(rule.path, path) is not None
        and all(re.search(pattern, headers.get(name.lower(), "")) for name, pattern in rule.header.items())
    )


_OF_HTTP = frozenset(Rule.__slots__) - {"more", "met"}


def _rule(told: dict[str, Any]) -> Rule:
    kind = told.get("kind", "http")
    if kind == "http" and (unknown := set(told) - _OF_HTTP):
        raise ValueError(f"a rule has no {', '.join(sorted(unknown))}")
    rule = Rule(**{name: value for name, value in told.items() if name in _OF_HTTP}, more=dict(told))
    for pattern in (rule.path, *rule.header.values()):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return rule
