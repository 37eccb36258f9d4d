"""Redis and DragonflyDB: how they are reached, and how their errors are told."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from dbops.config.fields import Tls
from dbops.config.load import resolve
from dbops.config.model import Redis
from dbops.errors import AuthenticationFailed, DbopsError, Refused, Unreachable
from dbops.redact import redact, register

_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=30)


@contextmanager
def connect(
    place: Redis,
    *,
    target: str,
    client_name: str = "dbops",
    timeout: timedelta | None = None,
) -> Generator[redis.Redis]:
    """Open a client that has been greeted; errors inside are told in our own words. Values are bytes."""
    with translated(target):
        client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            resolve(place.url, target=target),
            client_name=client_name.replace(" ", "_"),  # Redis allows no spaces there
            socket_connect_timeout=(timeout or _CONNECT).total_seconds(),
            socket_timeout=(timeout or _ANSWER).total_seconds(),
            retry=Retry(NoBackoff(), 0),  # we say when something is tried again
            **_credentials(place, target),
            **_tls(place.tls),
        )
        try:
            client.ping()  # pyright: ignore[reportUnknownMemberType]
            yield client
        finally:
            client.close()


def info(client: redis.Redis, *, target: str) -> dict[str, Any]:
    """Ask the server about itself: INFO, as redis-py reads it."""
    with translated(target):
        told = client.info()  # pyright: ignore[reportUnknownMemberType]
    return {str(name): value for name, value in told.items()}


def _credentials(place: Redis, target: str) -> dict[str, str]:
    told: dict[str, str] = {}
    if place.username is not None:
        told["username"] = resolve(place.username, target=target)
    if place.password is not None:
        told["password"] = register(resolve(place.password, target=target))
    return told


def _tls(tls: Tls | None) -> dict[str, Any]:
    if tls is None or tls.mode == "disable":
        return {}
    checks = tls.mode in ("verify-ca", "verify-full")
    paths = {"ssl_ca_certs": tls.root_cert, "ssl_certfile": tls.cert, "ssl_keyfile": tls.key}
    return {
        "connection_class": redis.SSLConnection,
        "ssl_cert_reqs": "required" if checks else "none",
        "ssl_check_hostname": tls.mode == "verify-full",
        **{name: str(path) for name, path in paths.items() if path is not None},
    }


@contextmanager
def translated(target: str) -> Generator[None]:
    """Turn redis-py's errors into ours, each with its exit code and what to do next."""
    try:
        yield
    except exceptions.RedisError as error:
        raise _told(error, target) from error


def _told(error: exceptions.RedisError, target: str) -> DbopsError:
    message = redact(str(error)) or type(error).__name__
    # Order matters: authentication and loading errors are connection errors to redis-py.
    match error:
        case exceptions.NoPermissionError():
            return Refused(message, hint="give its ACL user this command, or use another user", target=target)
        case exceptions.AuthenticationError() | exceptions.AuthenticationWrongNumberOfArgsError():
            return AuthenticationFailed(message, hint="check username and password of this target", target=target)
        case exceptions.BusyLoadingError():
            return Unreachable(message, hint="it loads its data; try again when it is done", target=target)
        case exceptions.ConnectionError() | exceptions.TimeoutError():
            return Unreachable(message, hint="check its url, and that the server runs", target=target)
        case exceptions.ReadOnlyError():
            return Refused(message, hint="this is a replica: let the url lead to the primary", target=target)
        case exceptions.OutOfMemoryError():
            return Refused(message, hint="it is at maxmemory: raise it, or let keys expire", target=target)
        case _ if message.startswith(("NOAUTH", "WRONGPASS")) or "NOAUTH" in message:
            return AuthenticationFailed(message, hint="this server asks for a password", target=target)
        case _:
            return DbopsError(message, target=target)
