"""The wire to an Azure service: every request of one connection passes here, whoever in the library sends it.

It counts what the service charges, waits when it is throttled (as long as it was told to, with jitter, within a
budget, and not through a request to stop), and never waits for an answer without a limit.
"""

import email.utils
import random
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from azure.core.exceptions import AzureError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport

from dbops import units
from dbops.engine import clock, stop
from dbops.errors import Unreachable
from dbops.stores.azure import Throttled, Words, failure, no_answer


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: for a line, for an answer, for a busy service."""

    connect: timedelta = timedelta(seconds=5)
    answer: timedelta = timedelta(seconds=65)
    busy: timedelta = timedelta(seconds=60)
    first_pause: timedelta = timedelta(milliseconds=250)
    longest_pause: timedelta = timedelta(seconds=15)
    attempts: int = 20
    resends: int = 3  # after a line that broke

    @staticmethod
    def within(deadline: timedelta | None) -> "Patience":
        """Leave a deadline for the whole to the single steps of it."""
        if deadline is None:
            return Patience()
        return Patience(connect=deadline, answer=deadline, busy=deadline / 2, resends=1)


@dataclass(slots=True)
class Spent:
    """What a connection has cost so far."""

    charge: float = 0.0  # request units; AI Search tells none
    requests: int = 0
    throttled: int = 0
    waited: timedelta = timedelta(0)
    last_retry_after: timedelta | None = None


class Wire:
    """How the requests of one connection travel: a transport for azure-core. Several threads may use it."""

    def __init__(
        self,
        words: Words,
        patience: Patience,
        *,
        target: str,
        root_cert: Path | None,
        busy: frozenset[int],
        resends: bool,
    ) -> None:
        self._transport: Any = RequestsTransport()
        self.spent = Spent()
        self._words = words
        self._patience = patience
        self._target = target
        self._verify = str(root_cert) if root_cert is not None else True
        self._busy = busy  # the statuses that mean: not done, come again
        self._resends = resends
        self._lock = threading.Lock()
        self._opening_until: float | None = None

    @contextmanager
    def opening(self) -> Generator[None]:
        """While open, the first failure is the last: who cannot be reached is told at once, not after many tries."""
        self._opening_until = clock.monotonic() + self._patience.connect.total_seconds()
        try:
            yield
        finally:
            self._opening_until = None

    def open(self) -> None:
        self._transport.open()

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sleep(self, seconds: float) -> None:
        """Let the library's own pauses end at a request to stop, too."""
        stop.pause(seconds)

    def send(self, request: Any, **options: Any) -> Any:
        busy_since = clock.monotonic()
        broken = 0
        for attempt in range(self._patience.attempts):
            try:
                answer: Any = self._transport.send(request, **self._limited(options))
            except AzureError as error:
                broken += 1
                self._give_up_or_wait(error, request, broken)
                continue
            self._count(answer)
            if answer.status_code not in self._busy or (answer.status_code != 429 and not _repeatable(request)):
                return self._usable(answer)
            wait = self._pause(answer.headers, attempt)
            waited = timedelta(seconds=clock.monotonic() - busy_since)
            if attempt + 1 == self._patience.attempts or waited + wait > self._patience.busy:
                return self._busy_for(answer, attempt + 1, wait)
            with self._lock:
                self.spent.waited += wait
            stop.pause(wait.total_seconds())
        raise AssertionError("the last attempt returns or raises")

    def _limited(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Let no request wait without a limit, and trust whom we were told to, on loopback too."""
        until = self._opening_until
        left = self._patience.connect.total_seconds() if until is None else until - clock.monotonic()
        if left <= 0:
            raise Unreachable(
                f"it did not answer within {units.duration(self._patience.connect)}",
                hint="check its endpoint and the network",
                target=self._target,
            )
        answer = left if until is not None else self._patience.answer.total_seconds()
        return {
            **options,
            "connection_timeout": min(left, options.get("connection_timeout") or left),
            "read_timeout": min(answer, options.get("read_timeout") or answer),
            "connection_verify": self._verify,
            "connection_cert": None,
        }

    def _give_up_or_wait(self, error: AzureError, request: Any, broken: int) -> None:
        """Raise, unless the request can be sent again: it never arrived, or twice is as good as once."""
        stop.check()
        if self._opening_until is not None or self.spent.requests == 0:
            raise no_answer(error, target=self._target) from error
        again = isinstance(error, ServiceRequestError) or _repeatable(request)
        if not self._resends or not again or broken > self._patience.resends:
            raise error
        stop.pause(_jittered(self._patience.first_pause * 2**broken))

    def _count(self, answer: Any) -> None:
        with self._lock:
            self.spent.requests += 1
            self.spent.charge += _number(answer.headers.get("x-ms-request-charge")) or 0.0
            if answer.status_code == 429:
                self.spent.throttled += 1

    def _usable(self, answer: Any) -> Any:
        if answer.status_code >= 500:
            stop.check()  # the library would try again, through a request to stop
        if self._opening_until is not None and answer.status_code >= 400:
            raise failure(answer.status_code, answer.text(), self._words, target=self._target)
        return answer

    def _pause(self, headers: Mapping[str, str], attempt: int) -> timedelta:
        told = retry_after(headers)
        if told is not None:
            self.spent.last_retry_after = told
            return told * random.uniform(1.0, 1.25)  # noqa: S311  # never earlier than told, nor all at once
        return timedelta(seconds=_jittered(min(self._patience.longest_pause, self._patience.first_pause * 2**attempt)))

    def _busy_for(self, answer: Any, attempts: int, wait: timedelta) -> Any:
        if answer.status_code != 429:
            return self._usable(answer)
        raise Throttled(
            f"{self._words.name} is throttled, still at attempt {attempts}; it wants us back in {units.duration(wait)}",
            hint=self._words.throttled_hint,
            target=self._target,
        )


def _repeatable(request: Any) -> bool:
    """Tell whether twice is as good as once: a condition that held the first time does not hold the second."""
    return not {"if-match", "if-none-match"} & {str(name).lower() for name in request.headers}


def _jittered(span: timedelta) -> float:
    return span.total_seconds() * random.uniform(0.5, 1.0)  # noqa: S311  # jitter


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long the service asks us to wait, in each of the ways in which services say it."""
    for name in ("x-ms-retry-after-ms", "retry-after-ms"):
        if (milliseconds := _number(headers.get(name))) is not None:
            return timedelta(milliseconds=milliseconds)
    told = headers.get("retry-after")
    if (seconds := _number(told)) is not None:
        return timedelta(seconds=seconds)
    if told is None:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(timedelta(0), moment - clock.now()) if moment.tzinfo is not None else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e9 else None
