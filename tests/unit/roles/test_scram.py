"""Verifiers, against published vectors; a real server judges them in the integration tests."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.roles import scram


def test_the_example_of_rfc_7677_comes_out() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    stored, server = scram.verifier("pencil", salt=salt).removeprefix("SCRAM-SHA-256$4096:").split("$")[1].split(":")
    # from the exchange in section 3: v= is an HMAC under ServerKey, p= is ClientKey xor an HMAC under StoredKey
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = (f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}").encode()
    assert hmac.digest(base64.b64decode(server), message, "sha256") == base64.b64decode(
        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )
    signature = hmac.digest(base64.b64decode(stored), message, "sha256")
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == base64.b64decode(stored)


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_verifier_matches_its_password_and_no_other(password: str, other: str) -> None:
    verifier = scram.verifier(password, iterations=1)
    assert scram.matches(verifier, password, role="app")
    assert scram.matches(verifier, other, role="app") == (scram.prepared(password) == scram.prepared(other))
    assert verifier != scram.verifier(password, iterations=1), "the salt is new each time"


def test_md5_is_compared_with_the_role_s_name_in_it() -> None:
    stored = "md505b7c7ba4dc6ae3ac7d8cc0a6aa9c8ca"
    assert not scram.matches(stored, "secret", role="app")
    stored = "md5" + hashlib.md5(b"secretapp", usedforsecurity=False).hexdigest()
    assert scram.matches(stored, "secret", role="app")
    assert not scram.matches(stored, "secret", role="other")


@pytest.mark.parametrize("broken", ["", "md5", "plain", "SCRAM-SHA-256$4096:===$a:b", "SCRAM-SHA-256$x:YQ==$YQ==:YQ=="])
def test_a_broken_verifier_matches_nothing(broken: str) -> None:
    assert not scram.matches(broken, "secret", role="app")


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("plain ascii", "plain ascii"),
        ("I\u00adX", "IX"),  # RFC 4013: soft hyphen mapped to nothing
        ("\u00aa", "a"),  # output is NFKC
        ("\u2168", "IX"),
        ("no\u00a0break", "no break"),
        ("\u0007bell\u00e9", "\u0007bell\u00e9"),  # prohibited: as it is
        ("\u06271", "\u06271"),  # bidirectional check fails: as it is
        ("\u00ad", "\u00ad"),  # nothing would be left: as it is
    ],
)
def test_passwords_are_prepared_as_postgresql_does(password: str, prepared: str) -> None:
    assert scram.prepared(password) == prepared
