"""No registered secret survives `redact`, however somebody wrote it."""

import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from dbops import redact
from dbops.config import template
from dbops.config.model import Config

# A secret of stars, or one that is part of the mark's neighbourhood, could not be told from the mark.
_LETTERS = st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="*")
SECRETS = st.text(_LETTERS, min_size=4, max_size=40)
AROUND = st.text(_LETTERS, max_size=20)


def in_conninfo(secret: str) -> str:
    """Write it as libpq reads it; without the quotes around, but with an escaped one at its end."""
    told = make_conninfo("", password=secret).removeprefix("password=")
    return told[1:-1] if told.startswith("'") else told


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda s: quote(s, safe=""),
    "path": quote,
    "form": quote_plus,
    "json": lambda s: json.dumps(s)[1:-1],
    "json unicode": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "conninfo": in_conninfo,
    "conninfo in json": lambda s: json.dumps(make_conninfo("", password=s)),
    "sql": lambda s: s.replace("'", "''"),
    "repr": repr,
    "shell": shlex.quote,
}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_known", set[str]())


def forget() -> None:
    redact._known.clear()  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("form", WRITTEN)
@given(secret=SECRETS, before=AROUND, after=AROUND)
@example(secret='it\'s "öpen" \\ sesame/+%', before="", after="")
@example(secret="000'", before="", after="")
def test_no_registered_secret_survives(form: str, secret: str, before: str, after: str) -> None:
    forget()
    redact.register(secret)
    written = WRITTEN[form](secret)
    assert written not in redact.redact(before + written + after)


@given(SECRETS, SECRETS, AROUND)
def test_of_two_secrets_that_overlap_nothing_remains(first: str, second: str, after: str) -> None:
    forget()
    joined = first + second[1:]
    redact.register(first)
    redact.register(joined[len(first) - 1 :] if len(second) > 3 else second)
    assert redact.redact(joined) == redact.MARK
    assert first not in redact.redact(joined + after)


@given(AROUND, SECRETS, AROUND)
def test_of_a_secret_inside_another_nothing_remains(before: str, inner: str, after: str) -> None:
    forget()
    redact.register(before + inner + after)
    redact.register(inner)
    assert redact.redact(before + inner + after) == redact.MARK


@given(SECRETS)
def test_a_secret_of_several_lines_is_blanked_line_by_line(secret: str) -> None:
    forget()
    redact.register(f"-----BEGIN-----\n{secret}\n-----END-----")
    assert secret not in redact.redact(f"key: {secret}")


@given(st.recursive(st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)))
def test_plain_data_that_was_redacted_is_still_json(data: object) -> None:
    redact.register("hunter22")
    told = redact.redacted(
        {"data": data, "error": 'password=hunter22" and more', "hunter22": ["hunter22", None, 1, True]}
    )
    text = json.dumps(told)
    assert "hunter22" not in text
    assert json.loads(text)["error"] == 'password=***" and more'


def test_registering_returns_the_secret_and_keeps_short_ones_readable() -> None:
    assert redact.register("abc") == "abc"
    assert redact.redact("abc is in the alphabet") == "abc is in the alphabet"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("host=a password=hunter22 user=b", "host=a password=*** user=b"),
        ("password = 'it''s' x", "password = *** x"),
        ("PGPASSWORD=hunter22 psql", "PGPASSWORD=*** psql"),
        ('password = "hunter22"', "password = ***"),
        ('{"password": "hunter22"}', '{"password": ***}'),
        ("api_key: hunter22", "api_key: ***"),
        ("AccountKey=aGVsbG8=;x", "AccountKey=***;x"),
        ("ALTER ROLE a PASSWORD 'b''c'", "ALTER ROLE a PASSWORD ***"),
        ("postgresql://u:p@ss@host/db", "postgresql://u:***@host/db"),
        ("rediss://:hunter22@cache:6380/0", "rediss://:***@cache:6380/0"),
        (f"SCRAM-SHA-256$4096:{'a' * 24}$bb:cc", "***"),
    ],
)
def test_what_looks_like_a_secret_is_blanked_without_being_registered(text: str, clean: str) -> None:
    assert redact.redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "cluster.main.password: is a literal secret",
        "password=${NAME}",
        "password = '${NAME}'",
        "postgresql://${USER}:${PASSWORD}@host/db",
        '"password": null',
        "the secret file /run/x can be read by others",
        "http://localhost:8080/path?mail=a@b",
        template.TEXT,
        json.dumps(Config.model_json_schema(), indent=2),
    ],
    ids=lambda text: text[:30],
)
def test_references_and_messages_stay_readable(text: str) -> None:
    assert redact.redact(text) == text
