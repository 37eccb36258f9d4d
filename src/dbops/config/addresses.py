"""Addresses that could lead nowhere: connection strings and URLs, read the way the one who uses them reads them.

A variable may stand for anything, so what holds one is only judged where the rest of it decides.
"""

import re
from collections.abc import Iterator
from typing import Any, cast

from dbops.config.fields import VARIABLE
from dbops.config.raw import Raw, key, near, table, tables

# What libpq reads; others are left to it, but a word that is almost one of these is a slip.
_WORDS = (
    *("host", "hostaddr", "port", "dbname", "user", "password", "passfile", "connect_timeout", "client_encoding"),
    *("options", "application_name", "keepalives", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword"),
    *("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "load_balance_hosts"),
    *("sslcompression", "sslcrl", "sslcrldir", "sslcertmode", "sslnegotiation", "sslsni", "replication", "requirepeer"),
    *("service", "target_session_attrs", "channel_binding", "krbsrvname", "gssencmode", "require_auth"),
)
_WORD = re.compile(r"\s*([^\s=]+)\s*(=?)\s*")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_BARE = re.compile(r"(?:[^\s\\]|\\.|\\\Z)*", re.DOTALL)


def problems(raw: Raw) -> Iterator[str]:
    for section in ("cluster", "postgres"):
        for name, place in tables(raw, section):
            yield from _told(f"{section}.{key(name)}.dsn", _dsn(place.get("dsn")))
    for name, place in tables(raw, "postgres"):
        replicas = place.get("replicas")
        for number, replica in enumerate(cast("list[Any]", replicas) if isinstance(replicas, list) else ()):
            yield from _told(f"postgres.{key(name)}.replicas.{number}", _dsn(replica))
    for name, place in tables(raw, "redis"):
        yield from _told(f"redis.{key(name)}.url", _url(place.get("url"), ("redis", "rediss", "unix")))
    for section in ("cosmos", "search"):
        for name, place in tables(raw, section):
            yield from _told(f"{section}.{key(name)}.endpoint", _endpoint(place))
    vault = table(raw, "vault")
    for where, place in (("vault", vault), *((f"vault.copies.{key(n)}", c) for n, c in tables(vault, "copies"))):
        yield from _told(f"{where}.url", _url(place.get("url"), ("file", "azure", "s3")))
        yield from _told(f"{where}.endpoint", _url(place.get("endpoint"), ("https", "http")))


def _told(where: str, problem: str | None) -> Iterator[str]:
    if problem is not None:
        yield f"{where}: {problem}"


def _endpoint(place: Raw) -> str | None:
    text = place.get("endpoint")
    if isinstance(text, str) and text.lower().startswith("http://") and "key" not in place:
        return "without a key it has to be https: a token on an open line is anybody's"
    return _url(text, ("https", "http"))


def _url(text: Any, schemes: tuple[str, ...]) -> str | None:
    if not isinstance(text, str) or VARIABLE.match(text):
        return None
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in schemes:
        return f"is no URL of the kind {', '.join(f'{one}://' for one in schemes)}{near(scheme, schemes)}"
    if not rest:
        return "leads nowhere"
    return None


def _dsn(text: Any) -> str | None:
    if not isinstance(text, str) or VARIABLE.match(text.strip()):
        return None
    if re.match(r"(?i)postgres(ql)?://", text):
        return None
    if "://" in text.partition("=")[0]:
        return "is no connection string: host=... dbname=... user=..., or postgresql://..."
    filled, at, number = VARIABLE.sub("x", text).rstrip(" \t\n\r\v\f"), 0, 0
    while at < len(filled):
        number += 1
        word = _WORD.match(filled, at)
        if word is None or not word[2]:  # which word it is stays untold: it may be the rest of a password
            return f"has no '=' behind word {number}; a value with a space in it goes between quotes"
        if word[1].lower() not in _WORDS and (slip := near(word[1].lower(), _WORDS, at_least=0.75)):
            return f"has no word {word[1][:32]!r}{slip}"
        value = (_QUOTED if filled[word.end() : word.end() + 1] == "'" else _BARE).match(filled, word.end())
        if value is None:
            return "holds a quote that does not end"
        at = value.end()
    return None
