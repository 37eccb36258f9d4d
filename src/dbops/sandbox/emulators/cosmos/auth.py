"""Who asks: the signature that the account's key makes over verb, resource and date."""

import base64
import hmac
from urllib.parse import parse_qs, unquote

from dbops.sandbox.emulators.cosmos.answers import Refused, missing
from dbops.sandbox.emulators.web import Request

_KINDS = frozenset(
    {"dbs", "colls", "docs", "pkranges", "offers", "users", "permissions", "sprocs", "triggers", "udfs", "conflicts"}
)


class Guard:
    """Checks each request against the one key of the account."""

    def __init__(self, key: str) -> None:
        self._key = base64.b64decode(key)

    def check(self, request: Request, segments: list[str]) -> None:
        """Refuse with 401 what the key did not sign."""
        header = request.headers.get("authorization", "")
        if not header:
            raise Refused(
                401, "Required Header authorization is missing. Ensure a valid Authorization token is passed."
            )
        fields = parse_qs(unquote(header).replace("+", "%2B"))
        if fields.get("type") != ["master"]:
            raise missing("tokens of Microsoft Entra ID and resource tokens")
        kind, resource = _subject(segments)
        text = f"{request.method.lower()}\n{kind}\n{resource}\n{request.headers.get('x-ms-date', '').lower()}\n\n"
        wanted = base64.b64encode(hmac.digest(self._key, text.encode(), "sha256")).decode()
        if not hmac.compare_digest(fields.get("sig", [""])[0].encode(), wanted.encode()):
            raise Refused(
                401,
                "The input authorization token can't serve the request. The wrong key is being used or the expected"
                f" payload is not built as per the protocol. The server used the following payload to sign: {text!r}",
            )


def _subject(segments: list[str]) -> tuple[str, str]:
    """Find what a path is signed as: its kind, and the full name of the resource, or of the parent of a feed."""
    if segments[-2:] == ["operations", "partitionkeydelete"]:
        return "colls", "/".join(segments[:-2])
    if len(segments) % 2 == 0:
        kind = segments[-2] if segments else ""
        name = segments[1].lower() if kind == "offers" else "/".join(segments)
        return kind, name
    kind = segments[-1]
    return (kind if kind in _KINDS else ""), "/".join(segments[:-1])
