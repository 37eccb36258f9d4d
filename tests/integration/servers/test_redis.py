"""A Redis server in a folder, and how it is reached."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import redis

from dbops.config.fields import SecretFile, Tls
from dbops.config.model import Redis
from dbops.errors import AuthenticationFailed, DbopsError, Refused, Unreachable
from dbops.servers import alive, sockets
from dbops.servers import redis as rd
from dbops.stores import redis as store

from answering import free_port


def place(folder: Path, server: rd.Server, password: str) -> Redis:
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(password)
    return Redis(url=rd.url(server), password=SecretFile(file=secret))


def ask(client: redis.Redis, *words: str) -> Any:
    return client.execute_command(*words)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def test_a_killed_redis_is_started_again_with_its_keys(folder: Path) -> None:
    with rd.running(rd.Server(folder / "redis"), "sesame") as server:
        with store.connect(place(folder, server, "sesame"), target="cache") as client:
            client.set("kept", "42")
        killed = rd.pid(server)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert rd.start(server, "sesame") != killed
        assert rd.start(server, "sesame") == rd.pid(server)
        with store.connect(place(folder, server, "sesame"), target="cache") as client:
            assert client.get("kept") == b"42"
    assert rd.pid(server) is None
    assert not rd.left_over(server)


@pytest.mark.parametrize("name", ["a b", 'o\'clock "now"', "größe,$HOME", "back\\slash", "long-" * 24])
def test_hostile_folder_names_are_served(folder: Path, name: str) -> None:
    password = "pass \"word\" 'ö' \\ #"
    with (
        rd.running(rd.Server(folder / name), password) as server,
        store.connect(place(folder, server, password), target="cache") as client,
    ):
        assert ask(client, "PING")
        private = sockets.private(server.home)
    assert private is None or not private.exists()


def test_a_wrong_password_is_told_as_such(folder: Path, redis_server: str, base: Path) -> None:
    wrong = place(folder, rd.Server(base / "redis"), "not this one")
    with pytest.raises(AuthenticationFailed) as caught, store.connect(wrong, target="cache"):
        pass
    assert caught.value.target == "cache"
    assert "not this one" not in caught.value.message
    with pytest.raises(AuthenticationFailed), store.connect(Redis(url=wrong.url), target="cache"):
        pass


def test_an_absent_server_is_unreachable(folder: Path) -> None:
    with pytest.raises(Unreachable), store.connect(Redis(url=f"unix://{folder}/none.sock"), target="cache"):
        pass
    port = free_port()
    with pytest.raises(Unreachable), store.connect(Redis(url=f"redis://127.0.0.1:{port}"), target="cache"):
        pass


def test_a_user_who_may_not_is_refused_and_a_wrong_command_fails(folder: Path, redis_server: str, base: Path) -> None:
    server = rd.Server(base / "redis")
    with store.connect(place(folder, server, "test"), target="cache") as client:
        ask(client, "ACL", "SETUSER", "reader", "on", ">test", "~*", "+get", "+ping", "+client")
        try:
            reader = place(folder, server, "test").model_copy(update={"username": "reader"})
            with pytest.raises(Refused), store.connect(reader, target="cache") as limited:
                limited.set("a", "b")
        finally:
            ask(client, "ACL", "DELUSER", "reader")
    with (
        pytest.raises(DbopsError, match="wrong number"),
        store.connect(place(folder, server, "test"), target="cache") as client,
    ):
        ask(client, "GET")


def test_a_certificate_that_nobody_vouches_for_is_refused(folder: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    port = free_port()
    files = (("tls-cert-file", str(cert)), ("tls-key-file", str(key)))
    tls = (("tls-port", str(port)), *files, ("tls-auth-clients", "no"))
    with rd.running(rd.Server(folder / "redis", settings=tls), "sesame") as server:
        where = place(folder, server, "sesame").model_copy(update={"url": f"redis://localhost:{port}"})
        known = where.model_copy(update={"tls": Tls(root_cert=cert)})
        with store.connect(known, target="cache") as client:
            assert ask(client, "PING")
        for stranger in (Tls(), Tls(root_cert=cert, mode="verify-full")):
            url = f"redis://127.0.0.1:{port}" if stranger.root_cert else where.url
            with (
                pytest.raises(Unreachable, match=r"(?i)certificate"),
                store.connect(where.model_copy(update={"tls": stranger, "url": url}), target="cache"),
            ):
                pass
        with store.connect(where.model_copy(update={"tls": Tls(mode="require")}), target="cache") as client:
            assert ask(client, "PING")


@pytest.mark.parametrize("way", ["start", "stop"])
def test_a_child_of_a_killed_redis_is_not_taken_for_it(folder: Path, way: str) -> None:
    slow = (("rdb-key-save-delay", "60000000"), ("save", ""))
    with rd.running(rd.Server(folder / "redis", settings=slow), "sesame") as server:
        with store.connect(place(folder, server, "sesame"), target="cache") as client:
            ask(client, "SET", "a", "b")
            ask(client, "BGSAVE")
        killed = rd.pid(server)
        assert killed is not None
        [child] = alive.family(killed)[1:]
        os.kill(killed, signal.SIGKILL)
        assert alive.await_end([killed], 10)
        assert alive.is_alive(child)
        assert rd.pid(server) is None
        assert rd.left_over(server)
        if way == "start":
            assert rd.start(server, "sesame") not in (killed, child)
        else:
            rd.stop(server)
            assert not rd.left_over(server)
        assert not alive.is_alive(child)


def test_nothing_is_left_of_a_redis_that_forked(folder: Path) -> None:
    with rd.running(rd.Server(folder / "redis"), "sesame") as server:
        with store.connect(place(folder, server, "sesame"), target="cache") as client:
            client.set("a", "b")
            ask(client, "BGSAVE")
        running = rd.pid(server)
        assert running is not None
        family = alive.family(running)
    assert [pid for pid in family if alive.is_alive(pid)] == []
