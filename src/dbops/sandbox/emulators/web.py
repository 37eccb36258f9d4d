"""HTTP/1.1 for the emulators: one connection, one request at a time, and the faults that tests ask for.

The protocol is httptools' parser on asyncio, and nothing between: an emulator has to cut a connection at a chosen
byte and to lose an answer after the work was done, which web frameworks hide on purpose.
"""

import asyncio
import traceback
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl

import httptools
import orjson

from dbops.sandbox.emulators.faults import Faults, Rule

_LARGEST = 64 << 20  # no service takes more; an endless body must not eat the machine
_JSON = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. The path is raw: whoever cuts it into names decodes them."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in small letters
    body: bytes
    base: str  # http://host:port, as the client wrote it

    def json(self) -> Any:
        """Read the body; raises ValueError."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Application(Protocol):
    """An emulated service: synchronous, asked by one thread, one request after the other."""

    @property
    def faults(self) -> Faults: ...

    def __call__(self, request: Request) -> Reply: ...

    def close(self) -> None: ...


def json_reply(status: int, value: Any, *headers: tuple[str, str]) -> Reply:
    return Reply(status, orjson.dumps(value), _JSON + headers)


class Connection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, application: Application, key: str, about: bytes) -> None:
        self._application = application
        self._key = key
        self._about = about  # what /.ready answers
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._cut()
        except httptools.HttpParserError as error:
            self._send(json_reply(400, {"code": "BadRequest", "message": f"not HTTP: {error}"}), alive=False)

    # -- the parser's side

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= _LARGEST:
            self._body.append(body)

    def on_message_complete(self) -> None:
        alive = self._parser.should_keep_alive()
        if self._size > _LARGEST:
            self._send(json_reply(413, {"code": "RequestEntityTooLarge", "message": "over 64 MiB"}), alive=False)
            return
        request = self._request()
        if request.path.startswith("/."):
            self._send(self._own(request), alive=alive)
            return
        rule = self._application.faults.meets(request.method, request.path, request.headers)
        reply = self._answer(request, rule)
        if rule is not None and rule.delay_s:
            self._later(rule.delay_s, reply, alive=alive, cut=rule.cut)
        else:
            self._send(reply, alive=alive, cut=None if rule is None else rule.cut)

    def _request(self) -> Request:
        url = httptools.parse_url(self._target)
        query = (url.query or b"").decode("latin-1")
        return Request(
            method=self._parser.get_method().decode("latin-1"),
            path=(url.path or b"/").decode("latin-1"),
            query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            headers=self._headers,
            body=b"".join(self._body),
            base=f"http://{self._headers.get('host', '127.0.0.1')}",
        )

    def _answer(self, request: Request, rule: Rule | None) -> Reply:
        if rule is not None and rule.status is not None and not rule.applied:
            return rule_reply(rule)
        if rule is not None and rule.cut == 0 and not rule.applied:
            return Reply(503)  # never sent: the connection is cut before its head, and nothing was done
        try:
            reply = self._application(request)
        except Exception:  # noqa: BLE001  # a bug of the emulator must not look like an answer of the service
            trace = traceback.format_exc()
            print(trace, flush=True)
            reply = json_reply(500, {"code": "EmulatorBug", "message": trace.strip().rpartition("\n")[2]})
        return reply if rule is None or rule.status is None else rule_reply(rule)

    def _own(self, request: Request) -> Reply:
        """Answer what is no part of the service: whether it is ready, and which faults are wanted."""
        if request.path == "/.ready":
            return Reply(200, self._about)
        faults = self._application.faults
        if request.path != "/.faults":
            return json_reply(404, {"message": "there are /.ready and /.faults"})
        if request.headers.get("x-emulator-key") != self._key:
            return json_reply(401, {"message": "x-emulator-key is not the key of this emulator"})
        match request.method:
            case "PUT":
                try:
                    faults.wish(request.json())
                except (ValueError, TypeError, AttributeError) as error:
                    return json_reply(400, {"message": f"no list of rules: {error}"})
            case "DELETE":
                faults.wish([])
            case "GET":
                pass
            case _:
                return json_reply(405, {"message": "PUT, GET or DELETE"})
        return json_reply(200, faults.told())

    # -- sending

    def _later(self, delay_s: float, reply: Reply, *, alive: bool, cut: int | None) -> None:
        if self._transport is not None:
            self._transport.pause_reading()  # the next request on this connection waits for its turn

        def resume() -> None:
            if self._transport is not None:
                self._transport.resume_reading()
                self._send(reply, alive=alive, cut=cut)

        asyncio.get_running_loop().call_later(delay_s, resume)

    def _send(self, reply: Reply, *, alive: bool, cut: int | None = None) -> None:
        transport = self._transport
        if transport is None:
            return
        if cut == 0:
            self._cut()
            return
        transport.write(_head(reply, alive=alive) + (reply.body if cut is None else reply.body[:cut]))
        if cut is not None or not alive:
            transport.close()  # after what was written

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def rule_reply(rule: Rule) -> Reply:
    body = rule.body if rule.body is not None else {"code": str(rule.status), "message": "injected"}
    return json_reply(rule.status or 500, body, *rule.headers.items())


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _head(reply: Reply, *, alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.status not in {204, 304}:
        lines.append(f"content-length: {len(reply.body)}")
    if not alive:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
