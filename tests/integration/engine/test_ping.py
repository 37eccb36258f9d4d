"""Pings to a server that behaves as no server should."""

import pytest

from dbops.engine import ping
from dbops.engine.ping import Pings

from monitor import DRIP, monitor


def test_an_answer_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its bytes comes in time, so that no time limit of a socket notices."""
    monkeypatch.setattr(ping, "GRACE_S", 0.5)
    with monitor() as hc:
        hc.answers[:] = [DRIP]
        assert Pings(hc.url, "1").finish("", "done") == {"end": "no answer within 0.5 s"}
        assert hc.actions == [""]
