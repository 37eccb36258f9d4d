"""Who asks: the signature that the account's key makes over verb, resource and date."""

import base64
import hmac
from dataclasses import dataclass
from functools import lru_cache, partial
from urllib.parse import unquote

from dbops.sandbox.emulators.cosmos.answers import Refused, missing
from dbops.sandbox.emulators.web import Request

_KINDS = frozenset(
    {"dbs", "colls", "docs", "pkranges", "offers", "users", "permissions", "sprocs", "triggers", "udfs", "conflicts"}
)
_MASTER = b"type%3Dmaster%26ver%3D1.0%26sig%3D"  # as clients quote it
_QUOTED = ((b"+", b"%2B"), (b"/", b"%2F"), (b"=", b"%3D"))


@dataclass(frozen=True, slots=True)
class Path:
    """A path cut into names, and what it is signed as: its kind, and the resource, or the parent of a feed."""

    names: tuple[str, ...]
    kind: str
    resource: str


@lru_cache(maxsize=4096)
def path_of(raw: str) -> Path:
    names = tuple(unquote(part) for part in raw.split("/") if part)
    if names[-2:] == ("operations", "partitionkeydelete"):
        return Path(names, "colls", "/".join(names[:-2]))
    if len(names) % 2 == 0:
        kind = names[-2] if names else ""
        return Path(names, kind, names[1].lower() if kind == "offers" else "/".join(names))
    return Path(names, names[-1] if names[-1] in _KINDS else "", "/".join(names[:-1]))


class Guard:
    """Checks each request against the one key of the account."""

    def __init__(self, key: str) -> None:
        secret = base64.b64decode(key)
        # A client dates its requests by the second: most ask with the signature of the one before.
        self._signed = lru_cache(maxsize=1024)(partial(_signature, secret))

    def check(self, request: Request, path: Path) -> None:
        """Refuse with 401 what the key did not sign."""
        header = request.headers.get("authorization", "")
        if not header:
            raise Refused(
                401, "Required Header authorization is missing. Ensure a valid Authorization token is passed."
            )
        date = request.headers.get("x-ms-date", "").lower()
        text = f"{request.method.lower()}\n{path.kind}\n{path.resource}\n{date}\n\n"
        if hmac.compare_digest(header.encode("latin-1", "replace"), self._signed(text)):
            return
        if not header.startswith("type%3Dmaster%26"):
            raise missing("tokens of Microsoft Entra ID and resource tokens")
        raise Refused(
            401,
            "The input authorization token can't serve the request. The wrong key is being used or the expected"
            f" payload is not built as per the protocol. The server used the following payload to sign: {text!r}",
        )


def _signature(secret: bytes, text: str) -> bytes:
    signed = base64.b64encode(hmac.digest(secret, text.encode("utf-8", "replace"), "sha256"))
    for raw, quoted in _QUOTED:
        signed = signed.replace(raw, quoted)
    return _MASTER + signed
