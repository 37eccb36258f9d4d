"""Azure AI Search: how a service is reached, how documents are written and read, and how its errors are told.

Requests and answers are plain JSON: the model layer of the official library costs eight times as much where
documents hold vectors, and its buffered sender loses documents. Two traps are closed here: a write that failed for
some documents answers 207, which looks like success; and a page is followed by what the service says, not by ours.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, cast
from urllib.parse import quote

import orjson
from azure.core import PipelineClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.policies import (
    AzureKeyCredentialPolicy,
    BearerTokenCredentialPolicy,
    HeadersPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from dbops import __version__
from dbops.config.load import resolve
from dbops.config.model import Search
from dbops.engine import stop
from dbops.errors import AuthenticationFailed, CouldNotVerify, DbopsError
from dbops.redact import redact
from dbops.stores import azure
from dbops.stores.azure import Missing, TooLarge, Words
from dbops.stores.search_writes import Failed, Written, batches, key_of, refused, to_repeat
from dbops.stores.wire import Patience, Spent, Wire

API_VERSION = "2026-04-01"
_SCOPE = "https://search.azure.com/.default"
_PAUSE = timedelta(milliseconds=500)
_TRIES = 5

Kind = Literal["indexes", "aliases", "synonymmaps"]
Document = dict[str, Any]

_WORDS = Words(
    name="AI Search",
    forbidden=AuthenticationFailed,
    forbidden_hint="check the key: an admin key changes and lists, a query key only searches",
    throttled_hint="add replicas or partitions, or run when the application is quiet",
)
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search; `next` is the request of the page behind it."""

    documents: list[Document]
    count: int | None = None
    facets: Mapping[str, Any] = field(default_factory=dict[str, Any])
    next: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A connection to one search service."""

    pipeline: Any
    endpoint: str
    target: str
    spent: Spent

    def send(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return the JSON of its answer; every failure is one of ours."""
        told = {"accept": "application/json;odata.metadata=minimal", "content-type": "application/json"}
        url = f"{self.endpoint}{path}"
        query = {"api-version": API_VERSION, **(parameters or {})}
        request = HttpRequest(method, url, params=query, content=body, headers={**told, **(headers or {})})
        with translated(self.target):
            answer = self.pipeline.send_request(request)
            content: bytes = answer.content
        if answer.status_code >= 400:
            raise azure.failure(answer.status_code, content, _WORDS, target=self.target)
        return _parsed(content, self.target)

    # ── Definitions ──────────────────────────────────────────────────────────────────────────────

    def statistics(self) -> Mapping[str, Any]:
        """Return the service's counters, each with usage and quota, and its limits."""
        return self.send("GET", "/servicestats")

    def definitions(self, kind: Kind, *, only: str | None = None) -> list[dict[str, Any]]:
        return self.send("GET", f"/{kind}", parameters={} if only is None else {"$select": only})["value"]

    def definition(self, kind: Kind, name: str) -> dict[str, Any]:
        """Return one definition as the service keeps it, its etag included."""
        with self._naming(kind, name):
            return self.send("GET", path_of(kind, name))

    def put(self, kind: Kind, definition: Mapping[str, Any], *, etag: str | None = None, new: bool = False) -> Any:
        """Create or replace; with `etag` only that version, with `new` only where there is none yet."""
        conditions = {"if-none-match": "*"} if new else {} if etag is None else {"if-match": etag}
        headers = {"prefer": "return=representation", **conditions}
        return self.send("PUT", path_of(kind, str(definition["name"])), body=orjson.dumps(definition), headers=headers)

    def delete(self, kind: Kind, name: str, *, etag: str | None = None) -> None:
        with self._naming(kind, name):
            self.send("DELETE", path_of(kind, name), headers={} if etag is None else {"if-match": etag})

    # ── Documents ────────────────────────────────────────────────────────────────────────────────

    def count(self, index: str) -> int:
        with self._naming("indexes", index):
            return int(self.send("GET", f"{path_of('indexes', index)}/docs/$count"))

    def document(self, index: str, key: str, *, only: Sequence[str] = ()) -> Document:
        parameters = {"$select": ",".join(only)} if only else {}
        return self.send("GET", f"{path_of('indexes', index)}/docs('{_quoted(key)}')", parameters=parameters)

    def search(self, index: str, request: Mapping[str, Any]) -> Found:
        """Return one page."""
        with self._naming("indexes", index):
            path = f"{path_of('indexes', index)}/docs/search.post.search"
            told: dict[str, Any] = self.send("POST", path, body=orjson.dumps(request))
        return Found(
            documents=told["value"],
            count=told.get("@odata.count"),
            facets=told.get("@search.facets") or {},
            next=told.get("@search.nextPageParameters"),
        )

    def pages(self, index: str, request: Mapping[str, Any]) -> Iterator[Found]:
        """Return page after page, as far as the service goes: 1,000 each, and no further than 100,000 to skip."""
        following: Mapping[str, Any] | None = request
        while following is not None:
            page = self.search(index, following)
            yield page
            stop.check()
            following = page.next

    def write(self, index: str, actions: Iterable[Mapping[str, Any]]) -> Written:
        """Send documents, each with its `@search.action`; tell apart which of them the service did not take.

        What it could not take just now is sent again a few times; a batch too large for it is halved.
        """
        written = Written()
        for batch in batches(orjson.dumps(action) for action in actions):
            written += self._write(index, batch)
            stop.check()
        return written

    def _write(self, index: str, batch: Sequence[bytes]) -> Written:
        failed: list[Failed] = []
        done = 0
        for attempt in range(_TRIES):
            try:
                results = self._send(index, batch)
            except TooLarge as error:
                if len(batch) > 1:
                    half = len(batch) // 2
                    rest = self._write(index, batch[:half]) + self._write(index, batch[half:])
                else:
                    rest = Written(failed=(Failed(key_of(batch[0]), 413, error.message),))
                return Written(done, tuple(failed)) + rest
            again = [] if attempt + 1 == _TRIES else to_repeat(results)
            bad = [number for number, one in enumerate(results) if not one["status"] and number not in again]
            done += len(results) - len(bad) - len(again)
            failed += [refused(results[number]) for number in bad]
            if not again:
                break
            batch = [batch[number] for number in again]
            stop.pause(_PAUSE.total_seconds() * 2**attempt)
        return Written(done, tuple(failed))

    def _send(self, index: str, batch: Sequence[bytes]) -> list[dict[str, Any]]:
        with self._naming("indexes", index):
            path = f"{path_of('indexes', index)}/docs/search.index"
            told: Any = self.send("POST", path, body=b'{"value":[%b]}' % b",".join(batch))
        results = cast("list[dict[str, Any]]", told["value"])
        if len(results) != len(batch):
            message = f"{len(batch)} documents were sent to {index}, and it answers for {len(results)}"
            raise CouldNotVerify(message, hint="compare the index with its source", target=self.target)
        return results

    @contextmanager
    def _naming(self, kind: Kind, name: str) -> Generator[None]:
        """Say which names there are, where one is missing."""
        try:
            yield
        except Missing as error:
            with suppress(DbopsError):  # a query key may not list
                known = [str(one["name"]) for one in self.definitions(kind, only="name")]
                error.hint = azure.nearest(name, known) if name not in known else None
            raise


def path_of(kind: str, name: str) -> str:
    """Return where a definition lies; a quote in a name is doubled, as OData wants it."""
    return f"/{kind}('{_quoted(name)}')"


def _quoted(name: str) -> str:
    return quote(name.replace("'", "''"), safe="")


def _parsed(content: bytes, target: str) -> Any:
    if not content:
        return None
    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))  # a count comes with a mark
    except orjson.JSONDecodeError as error:
        raise CouldNotVerify(f"its answer is not understood: {error}", target=target) from error


@contextmanager
def connect(place: Search, *, target: str, timeout: timedelta | None = None) -> Generator[Service]:
    """Prepare a connection; the first request shows whether it leads anywhere. `timeout` is for each answer."""
    azure.quiet()
    endpoint = resolve(place.endpoint, target=target).rstrip("/")
    patience = Patience.within(timeout)
    wire = Wire(_WORDS, patience, target=target, root_cert=place.root_cert, busy=_BUSY, resends=True)
    transport: Any = wire
    with azure.signed_in(place, endpoint, target=target, within=timeout) as credential:
        policies = [HeadersPolicy(), UserAgentPolicy(f"dbops/{__version__}"), _authentication(credential)]
        with PipelineClient[Any, Any](endpoint, policies=policies, transport=transport) as pipeline:
            yield Service(pipeline, endpoint, target, wire.spent)


def _authentication(credential: Any) -> Any:
    if isinstance(credential, str):
        return AzureKeyCredentialPolicy[Any, Any](AzureKeyCredential(credential), "api-key")
    return BearerTokenCredentialPolicy[Any, Any](credential, _SCOPE)


@contextmanager
def translated(target: str) -> Generator[None]:
    """Turn azure-core's errors into ours, each with its exit code and what to do next."""
    try:
        yield
    except ClientAuthenticationError as error:
        raise AuthenticationFailed(azure.first_line(redact(str(error))), target=target) from error
    except AzureError as error:
        raise azure.no_answer(error, target=target) from error
