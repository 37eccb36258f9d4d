"""SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802, 5803, 7677), so that no password leaves this process."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata

ITERATIONS = 4096  # PostgreSQL's own default; clients compute it at each login
_SALT_BYTES = 16
_FORM = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_MD5_FORM = re.compile(r"md5[0-9a-f]{32}")

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,  # not assigned in Unicode 3.2
)


def verifier(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """Compute what ALTER ROLE ... PASSWORD may be given instead of a password."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    stored, server = _keys(password, salt, iterations)
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def matches(stored: str, password: str, *, role: str) -> bool:
    """Tell whether a stored verifier, SCRAM or md5, is that of this password."""
    if _MD5_FORM.fullmatch(stored):
        digest = hashlib.md5((password + role).encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(stored, f"md5{digest}")
    form = _FORM.fullmatch(stored)
    if form is None:
        return False
    try:
        salt, wanted = base64.b64decode(form[2], validate=True), base64.b64decode(form[3], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(_keys(password, salt, int(form[1]))[0], wanted)


def is_scram(stored: str) -> bool:
    return _FORM.fullmatch(stored) is not None


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def prepared(password: str) -> str:
    """Apply SASLprep as PostgreSQL does: a password that it forbids is taken as it is, not refused."""
    if password.isascii():
        return password
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    if not mapped or any(prohibits(c) for prohibits in _PROHIBITED for c in mapped) or _mixes_directions(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped)


def _mixes_directions(text: str) -> bool:
    right_to_left = [stringprep.in_table_d1(c) for c in text]
    if not any(right_to_left):
        return False
    return any(map(stringprep.in_table_d2, text)) or not (right_to_left[0] and right_to_left[-1])
