"""One row for each search service: how much of its quotas is used."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from dbops import units
from dbops.across.status.facts import Status
from dbops.config.model import Search
from dbops.engine import clock
from dbops.engine.finding import Finding, Severity
from dbops.errors import AuthenticationFailed, DbopsError
from dbops.stores import search
from dbops.stores.azure import Missing

_VERSION = f"api {search.API_VERSION}"
_NEARLY_FULL = 0.9
_NOBODY = "dbops-asks-for-no-index"
# as the service calls them, and whether they count bytes
_COUNTERS = {
    "documents": ("documentCount", False),
    "indexes": ("indexesCount", False),
    "storage": ("storageSize", True),
    "vectors": ("vectorIndexSize", True),
}


def look(name: str, place: Search, deadline: timedelta) -> Status:
    began = clock.monotonic()
    with search.connect(place, target=name, timeout=deadline) as service:
        try:
            told = service.statistics()
        except AuthenticationFailed as error:
            _refuse_unless_it_reads(service, error)
            latency = timedelta(seconds=clock.monotonic() - began)
            return Status(name, "search", "ok", latency, _VERSION, {"key": "query"})
        latency = timedelta(seconds=clock.monotonic() - began)
    facts = used(told["counters"])
    return Status(name, "search", "ok", latency, _VERSION, facts, tuple(quotas(name, facts)))


def _refuse_unless_it_reads(service: search.Service, error: DbopsError) -> None:
    """A query key may not ask for statistics; whether it is one shows where it may ask."""
    try:
        service.count(_NOBODY)
    except Missing:
        return
    except AuthenticationFailed:
        raise error from None


def used(counters: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is used of each quota; a tier without a quota tells none."""
    facts: dict[str, Any] = {"key": "admin"}
    for name, (counter, is_size) in _COUNTERS.items():
        one: Mapping[str, Any] = counters.get(counter) or {}
        unit = "_bytes" if is_size else ""
        facts[f"{name}{unit}"] = one.get("usage")
        facts[f"{name}_quota{unit}"] = one.get("quota")
    return facts


def quotas(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Warn before the service refuses what the application writes."""
    for counter, (_, is_size) in _COUNTERS.items():
        unit = "_bytes" if is_size else ""
        used, quota = facts[f"{counter}{unit}"], facts[f"{counter}_quota{unit}"]
        if used is not None and quota and used >= _NEARLY_FULL * quota:
            written = units.size if is_size else str
            message = f"{counter}: {written(used)} of {written(quota)} are used"
            hint = "remove what is not needed, or add partitions: a full service refuses to index"
            yield Finding(Severity.WARNING, "quota", name, message, hint)
