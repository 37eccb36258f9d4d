"""What both emulators are built on: connections, faults, and how the program starts and ends."""

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.web import Connection, Reply, Request, json_reply
from dbops.servers import account, alive, emulator


class Echo:
    """Answers with what it was asked, and counts the work that it did."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.done = 0

    def __call__(self, request: Request) -> Reply:
        if request.path == "/bug":
            raise ZeroDivisionError("a bug")
        self.done += 1
        return Reply(200, request.body or request.path.encode(), (("x-query", str(sorted(request.query.items()))),))

    def close(self) -> None: ...


@pytest.fixture
def echo() -> Generator[tuple[Echo, int]]:
    application, ready, ends = Echo(), threading.Event(), asyncio.Event()
    found: list[object] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(application, "key", b"1"), "127.0.0.1", 0)
        found.extend([loop, server.sockets[0].getsockname()[1]])
        ready.set()
        await ends.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    loop, port = found
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(port, int)
    yield application, port
    loop.call_soon_threadsafe(ends.set)
    thread.join(10)


def ask(
    port: int, path: str, body: bytes = b"", method: str = "POST", key: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    talk = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        talk.request(method, path, body=body, headers={} if key is None else {"x-emulator-key": key})
        answer = talk.getresponse()
        return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        talk.close()


def test_a_connection_serves_many_requests(echo: tuple[Echo, int]) -> None:
    talk = http.client.HTTPConnection("127.0.0.1", echo[1], timeout=10)
    for number in range(20):
        talk.request("POST", f"/p?a={number}&b=%20x", body=b"x" * number * 5000)
        answer = talk.getresponse()
        assert answer.read() == (b"x" * number * 5000 or b"/p")
        assert answer.headers["x-query"] == str([("a", str(number)), ("b", " x")])
    talk.close()


def test_what_is_no_http_is_refused_and_the_next_one_served(echo: tuple[Echo, int]) -> None:
    with socket.create_connection(("127.0.0.1", echo[1]), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert raw.recv(200).startswith(b"HTTP/1.1 400 ")
    assert ask(echo[1], "/")[0] == 200


def test_a_bug_is_told_as_a_bug(echo: tuple[Echo, int]) -> None:
    status, body, _ = ask(echo[1], "/bug")
    assert (status, b"EmulatorBug" in body, b"a bug" in body) == (500, True, True)


def test_faults_need_the_key(echo: tuple[Echo, int]) -> None:
    assert ask(echo[1], "/.faults", b"[]", "PUT", "wrong")[0] == 401
    assert ask(echo[1], "/.faults", b"[]", "PUT", "key")[0] == 200
    assert ask(echo[1], "/.faults", b'[{"stauts": 5}]', "PUT", "key")[0] == 400


@pytest.mark.parametrize("rule", [b'[{"path": "("}]', b'[{"header": {"a": "["}}]', b'[{"path": 5}]'])
def test_a_fault_whose_pattern_is_none_is_refused_before_it_meets_anything(echo: tuple[Echo, int], rule: bytes) -> None:
    assert ask(echo[1], "/.faults", rule, "PUT", "key")[0] == 400
    assert ask(echo[1], "/x")[0] == 200


def test_a_fault_happens_after_some_and_only_so_often(echo: tuple[Echo, int]) -> None:
    rule = b'[{"path": "^/x", "after": 1, "times": 2, "status": 429, "headers": {"retry-after": "1"}}]'
    ask(echo[1], "/.faults", rule, "PUT", "key")
    assert [ask(echo[1], path)[0] for path in ("/x", "/y", "/x", "/x", "/x")] == [200, 200, 429, 429, 200]
    assert echo[0].done == 3


def test_an_answer_is_lost_after_the_work_was_done(echo: tuple[Echo, int]) -> None:
    ask(echo[1], "/.faults", b'[{"cut": 0, "applied": true}, {"cut": 0}]', "PUT", "key")
    for done in (1, 1):  # the second one is cut before anything is done
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(echo[1], "/x")
        assert echo[0].done == done
    assert ask(echo[1], "/x")[0] == 200


def test_a_connection_is_cut_within_the_body(echo: tuple[Echo, int]) -> None:
    ask(echo[1], "/.faults", b'[{"cut": 3}]', "PUT", "key")
    with pytest.raises(http.client.IncompleteRead) as told:
        ask(echo[1], "/x", b"abcdef")
    assert told.value.partial == b"abc"


def test_a_delayed_answer_keeps_the_others_going(echo: tuple[Echo, int]) -> None:
    ask(echo[1], "/.faults", b'[{"path": "slow", "delay_s": 0.5}]', "PUT", "key")
    order: list[str] = []

    def late() -> None:
        ask(echo[1], "/slow")
        order.append("slow")

    thread = threading.Thread(target=late)
    thread.start()
    while not echo[0].done:  # the slow one has arrived
        os.sched_yield()
    assert ask(echo[1], "/fast")[1] == b"/fast"
    order.append("fast")
    thread.join(10)
    assert order == ["fast", "slow"]


def test_headers_of_a_reply_are_kept(echo: tuple[Echo, int]) -> None:
    assert json_reply(207, [1], ("x-a", "b")) == Reply(
        207, b"[1]", (("content-type", "application/json"), ("x-a", "b"))
    )
    assert ask(echo[1], "/a")[2]["content-length"] == "2"


@pytest.mark.parametrize("kind", ["cosmos", "search"])
def test_an_emulator_runs_as_the_account_and_takes_its_port_again(folder: Path, kind: str) -> None:
    server = emulator.Server(folder / kind, kind, {"key": "c2VjcmV0"})  # pyright: ignore[reportArgumentType]
    first = emulator.start(server)
    try:
        assert Path(f"/proc/{first}").stat().st_uid == account.uid()
        assert emulator.start(server) == first
        port = emulator.port(server)
        assert "c2VjcmV0" not in str(alive.argv_of(first))
        emulator.stop(server)
        assert emulator.pid(server) is None
        second = emulator.start(server)
        assert (emulator.port(server), second != first) == (port, True)
        emulator.stop(server)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port or 0))
            taken.listen()
            emulator.start(server)
            assert emulator.is_ready(server)
            assert emulator.port(server) != port
    finally:
        emulator.stop(server)


@pytest.mark.parametrize("kind", ["cosmos", "search"])
def test_a_second_emulator_over_the_same_data_ends_at_once(folder: Path, kind: str) -> None:
    server = emulator.Server(folder / kind, kind, {"key": "c2VjcmV0"})  # pyright: ignore[reportArgumentType]
    with emulator.running(server):
        account.write_file(server.config, server.config.read_text())  # as who launches it at the same moment does
        argv = [sys.executable, "-P", "-m", server.module, "--home", str(server.home)]
        second = subprocess.run(argv, capture_output=True, text=True, cwd="/", timeout=60, check=False)
        assert (second.returncode, second.stderr) == (1, f"another emulator serves {server.home}\n")
        assert emulator.is_ready(server)
