"""Pings: a monitor that speaks the Healthchecks protocol is told that a run began and how it ended.

They go out from a thread of their own, so that a monitor that hangs delays no run. Only the end is waited for, and
not for long. Whoever knows the URL can ping: it is a secret, and no message quotes it.
"""

import http.client
import os
import queue
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

from dbops import __version__
from dbops.engine import clock, stop
from dbops.errors import ConfigInvalid, UsageError
from dbops.redact import register

GRACE_S = 8.0  # how long the end of a run may wait for its pings
_TIMEOUT_S = 5.0
_PAUSES_S = (0.5, 1.5)  # before the second attempt, and the third
_POLL_S = 0.05
_SHORTEST_SECRET = 8
_ENOUGH = 200  # bytes of an answer
_IN_VAIN = ("OK (not found)", "OK (rate limited)")  # Healthchecks says 200 to everybody
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


def url_of(variable: str) -> str:
    """Read the URL from the environment variable that was named, and have it redacted from now on."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise UsageError(
            "--ping-url-env takes the name of an environment variable, not what is in it",
            hint="--ping-url-env DBOPS_PING_URL; the URL is a secret, and everybody can read arguments",
        )
    url = os.environ.get(variable, "").strip()
    if not url:
        raise ConfigInvalid(
            f"the environment variable {variable}, which --ping-url-env names, is not set",
            hint="nothing was done; set it to the URL of the check",
        )
    register(url)
    try:
        parts = urllib.parse.urlsplit(url)
        if len(path := parts.path.strip("/")) >= _SHORTEST_SECRET:  # a shorter one is a word like any other
            register(path)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and "@" not in parts.netloc and url.isascii() and url.isprintable() and " " not in url
    except ValueError:  # of its brackets, or its port
        usable = False
    if not usable:
        raise ConfigInvalid(
            f"the environment variable {variable} does not hold the URL of a check",
            hint="nothing was done; it looks like https://hc-ping.com/UUID, without user and password",
        )
    return url


@dataclass(frozen=True, slots=True)
class _Ping:
    what: str  # start, end
    action: str  # what is appended to the URL's path: start, an exit code, log, or nothing for success
    body: str = ""


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follow nobody elsewhere: the URL is a secret."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


class Pings:
    """The pings of one run, in their order; all carry one id, so that overlapping runs are told apart."""

    def __init__(self, url: str, run_id: str) -> None:
        self._url = urllib.parse.urlsplit(url)
        self._id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"dbops:{run_id}"))
        self._waiting: queue.SimpleQueue[_Ping | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._deadline: float | None = None
        self._failed: dict[str, str] = {}
        # a daemon: one that hangs in a dead network must not keep the program from ending
        self._thread = threading.Thread(target=self._work, name="ping", daemon=True)
        self.started = False

    def start(self) -> None:
        """Tell that the run began; once, and without waiting for it."""
        if not self.started:
            self.started = True
            self._thread.start()
            self._waiting.put(_Ping("start", "start"))

    def finish(self, action: str, body: str) -> dict[str, str]:
        """Tell how the run ended, wait for it as long as GRACE_S, and return what could not be told and why."""
        already = stop.requested()
        self._deadline = clock.monotonic() + GRACE_S
        self._ending.set()
        self._waiting.put(_Ping("end", action, body))
        self._waiting.put(None)
        if not self.started:
            self._thread.start()
        while self._thread.is_alive():
            if clock.monotonic() > self._deadline:
                return {"end": f"no answer within {GRACE_S:g} s", **self._failed}
            if stop.requested() and not already:
                return {"end": "stopped on request", **self._failed}
            self._thread.join(_POLL_S)
        return dict(self._failed)

    def _work(self) -> None:
        opener = urllib.request.build_opener(_Straight)  # verifies certificates; takes proxies from the environment
        while (ping := self._waiting.get()) is not None:
            if (why := self._patiently(opener, ping)) is not None:
                self._failed[ping.what] = why

    def _patiently(self, opener: urllib.request.OpenerDirector, ping: _Ping) -> str | None:
        """Try until it is told; a start is given up as soon as the end wants to be told."""
        for pause in (*_PAUSES_S, None):
            why, again = self._attempt(opener, ping)
            if why is None or not again or pause is None:
                return why
            if ping.what == "start":
                if self._ending.wait(pause):
                    return why
            elif self._left() <= pause:
                return why
            else:
                time.sleep(pause)
        return None

    def _left(self) -> float:
        return _TIMEOUT_S if self._deadline is None else max(0.1, self._deadline - clock.monotonic())

    def _attempt(self, opener: urllib.request.OpenerDirector, ping: _Ping) -> tuple[str | None, bool]:
        request = urllib.request.Request(  # noqa: S310  # url_of has looked at the scheme
            self._address(ping.action),
            data=ping.body.encode("utf-8", "replace"),
            headers={"User-Agent": f"dbops/{__version__}", "Content-Type": "text/plain; charset=utf-8"},
            method="POST",
        )
        try:
            with opener.open(request, timeout=min(_TIMEOUT_S, self._left())) as answer:
                said = answer.read(_ENOUGH).decode("utf-8", "replace").strip()
        except urllib.error.HTTPError as error:
            with error:
                return f"it answered {error.code}", error.code in _TRY_AGAIN
        except Exception as error:  # noqa: BLE001  # whatever it is, the run is not to suffer from it
            return _why(error)
        return (f"it answered {said!r}", False) if said in _IN_VAIN else (None, False)

    def _address(self, action: str) -> str:
        path = "/".join(part for part in (self._url.path.rstrip("/"), action) if part)
        query = "&".join(part for part in (self._url.query, f"rid={self._id}") if part)
        return urllib.parse.urlunsplit((self._url.scheme, self._url.netloc, path or "/", query, ""))


def _why(error: Exception) -> tuple[str, bool]:
    """Say why there was no answer, in words that cannot hold the URL, and whether to try again."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not to be trusted: {reason.verify_message}", False
        case ssl.SSLError():
            return "it does not speak TLS as it should", True
        case TimeoutError():
            return "it did not answer in time", True
        case socket.gaierror():
            return f"its name was not found: {reason.strerror}", True
        case http.client.HTTPException():
            return f"its answer was not HTTP: {type(reason).__name__}", True
        case OSError():
            return reason.strerror or type(reason).__name__, True
        case _:
            return type(reason).__name__, False
