"""Certificates are verified wherever the service is, loopback included, and by the authority that was named."""

import json
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pytest
from azure.core.credentials import AccessToken

from dbops.config.model import Cosmos, Search
from dbops.errors import AuthenticationFailed
from dbops.stores import cosmos, search

_ANSWER = json.dumps({"counters": {}, "id": "x", "writableLocations": [], "readableLocations": []}).encode()


@pytest.fixture
def heard() -> list[str]:
    """What the server was asked, head and all."""
    return []


@pytest.fixture
def endpoint(certificate: tuple[Path, Path], heard: list[str]) -> Generator[str]:
    """A server with the tests' own certificate that gives every request the same answer: its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(line, server_side=True) as talk:
                heard.append(unquote(talk.recv(65_536).decode("latin-1")))
                talk.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER))
                talk.sendall(_ANSWER)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_a_certificate_that_nobody_vouches_for_is_refused(endpoint: str) -> None:
    with (
        search.connect(Search(endpoint=endpoint, key="${SEARCH_KEY}"), target="s") as service,
        pytest.raises(AuthenticationFailed, match="not trusted") as told,
    ):
        service.statistics()
    assert "root_cert" in str(told.value.hint)
    place = Cosmos(endpoint=endpoint, database="d", key="${COSMOS_KEY}")
    with pytest.raises(AuthenticationFailed, match="not trusted"), cosmos.connect(place, target="w"):
        pass


def test_an_authority_that_was_named_vouches_for_it(endpoint: str, certificate: tuple[Path, Path]) -> None:
    root = certificate[0]
    with search.connect(Search(endpoint=endpoint, key="${SEARCH_KEY}", root_cert=root), target="s") as service:
        assert service.statistics()["counters"] == {}
    place = Cosmos(endpoint=endpoint, database="d", key="${COSMOS_KEY}", root_cert=root)
    with cosmos.connect(place, target="w") as database:
        assert database.account().read_regions == ()


class Identity:
    """Stands where azure-identity's chain stands: signed in, without a network."""

    asked: tuple[str, ...] = ()

    def __init__(self, **_options: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        Identity.asked = scopes
        return AccessToken("token-of-somebody", 4_000_000_000)


def test_without_a_key_the_token_of_an_identity_is_sent(
    endpoint: str, heard: list[str], certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Identity)
    root = certificate[0]
    with search.connect(Search(endpoint=endpoint, root_cert=root), target="s") as service:
        service.statistics()
    assert Identity.asked == ("https://search.azure.com/.default",)
    assert "authorization: bearer token-of-somebody\r\n" in heard[-1].lower()
    with cosmos.connect(Cosmos(endpoint=endpoint, database="d", root_cert=root), target="w") as database:
        database.account()
    assert Identity.asked == ("https://localhost/.default",)
    assert "type=aad&ver=1.0&sig=token-of-somebody" in heard[-1]
