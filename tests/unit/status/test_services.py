"""When a search service is told to be nearly full."""

from typing import Any

import pytest

from dbops.across.status.services import quotas, used
from dbops.engine.finding import Severity


def counters(**told: tuple[int, int | None]) -> dict[str, Any]:
    return {name: {"usage": usage, "quota": quota} for name, (usage, quota) in told.items()}


def test_what_a_tier_does_not_tell_is_no_number() -> None:
    facts = used(counters(documentCount=(7, None), storageSize=(10, 100)))
    assert (facts["documents"], facts["documents_quota"]) == (7, None)
    assert (facts["storage_bytes"], facts["storage_quota_bytes"]) == (10, 100)
    assert facts["vectors_bytes"] is None
    assert list(quotas("s", facts)) == []


@pytest.mark.parametrize(("usage", "told"), [(44, False), (45, True), (50, True), (51, True)])
def test_nine_tenths_of_a_quota_are_a_warning(usage: int, told: bool) -> None:
    found = list(quotas("s", used(counters(indexesCount=(usage, 50)))))
    assert [(one.severity, one.code, one.target) for one in found] == [(Severity.WARNING, "quota", "s")] * told


def test_sizes_are_told_as_people_write_them() -> None:
    (found,) = quotas("s", used(counters(storageSize=(2**30, 2**30))))
    assert found.message == "storage: 1.0 GB of 1.0 GB are used"


def test_a_quota_of_nothing_is_none() -> None:
    assert list(quotas("s", used(counters(vectorIndexSize=(0, 0))))) == []
