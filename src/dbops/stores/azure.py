"""What Cosmos DB and AI Search share: how we sign in, and how their failures are told."""

import logging
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

from dbops import units
from dbops.config import raw
from dbops.config.load import resolve
from dbops.config.model import Cosmos, Search
from dbops.engine.aside import Aside
from dbops.errors import (
    AuthenticationFailed,
    ConfigInvalid,
    DbopsError,
    DependencyMissing,
    Refused,
    Unreachable,
)
from dbops.redact import redact, register

SIGN_IN = timedelta(seconds=30)
_LONGEST = 300  # of a message: services put traces of their own into theirs


class Missing(Refused):
    """What was asked for is not there (404)."""


class Exists(Refused):
    """It is there already (409)."""


class Conflict(Refused):
    """Somebody changed it since it was read: its etag is another one (412)."""


class TooLarge(DbopsError):
    """One request, or one document, is larger than the service takes (413)."""


class Throttled(Unreachable):
    """The service was busy (429) for longer than we were ready to wait."""


@dataclass(frozen=True, slots=True)
class Words:
    """How one service means what HTTP leaves open."""

    name: str
    forbidden: type[DbopsError]
    forbidden_hint: str
    throttled_hint: str


def quiet() -> None:
    """Keep the libraries from writing to stderr: what matters of it reaches the operator as an error."""
    for name in ("azure", "urllib3", "msal"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


# ── Signing in ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def signed_in(
    place: Cosmos | Search, endpoint: str, *, target: str, within: timedelta | None
) -> Generator["str | Bounded"]:
    """Yield the key, or azure-identity's default chain where there is none."""
    if place.key is not None:
        yield register(resolve(place.key, target=target))
        return
    if endpoint.lower().startswith("http://"):
        raise ConfigInvalid(
            "without a key, only https will do: a token on an open line is anybody's",
            hint="give it a key, or an https endpoint",
            target=target,
        )
    from azure.identity import DefaultAzureCredential

    with DefaultAzureCredential(process_timeout=5) as chain:
        yield Bounded(chain, within or SIGN_IN, target)


class Bounded:
    """A credential that does not outlast our patience: some of the chain wait for networks that are not there."""

    def __init__(self, credential: TokenCredential, within: timedelta, target: str) -> None:
        self._credential = credential
        self._within = within
        self._target = target

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        aside = Aside[str, AccessToken]()
        aside.begin("sign-in", partial(self._credential.get_token, *scopes, **options))
        match aside.take(self._within):
            case None:
                message = f"no identity answered within {units.duration(self._within)}"
                raise AuthenticationFailed(message, hint=_IDENTITY_HINT, target=self._target)
            case _, AccessToken() as told:
                register(told.token)
                return told
            case _, AzureError() as error:
                raise AuthenticationFailed(_short(error), hint=_IDENTITY_HINT, target=self._target) from error
            case _, error:
                raise error


_IDENTITY_HINT = "sign in ('az login'), set AZURE_CLIENT_ID and its companions, or give this target a key"


def _short(error: AzureError) -> str:
    """Make one line of the page that the default chain writes: the reason Microsoft gave, or who was tried."""
    text = redact(str(error))
    if reason := re.search(r"AADSTS\d+:[^\n]*", text):
        return f"Microsoft Entra ID refused to sign in: {reason[0][:_LONGEST]}"
    tried = re.findall(r"^\s*(\w+)Credential:", text, re.MULTILINE)
    return f"nobody could sign in; tried {', '.join(tried)}" if tried else f"nobody could sign in: {first_line(text)}"


# ── Failures ─────────────────────────────────────────────────────────────────────────────────────


def failure(status: int, said: str | bytes, words: Words, *, target: str) -> DbopsError:
    """Turn an HTTP status and what the service said beside it into ours."""
    text = f"{words.name} answers {status}: {first_line(redact(_sentence(said))) or 'it says nothing'}"
    match status:
        case 401:
            return AuthenticationFailed(text, hint="check the key of this target", target=target)
        case 403:
            return words.forbidden(text, hint=words.forbidden_hint, target=target)
        case 404:
            return Missing(text, target=target)
        case 409:
            return Exists(text, target=target)
        case 412:
            return Conflict(text, hint="somebody changed it in between; run again to see how it is now", target=target)
        case 413:
            return TooLarge(text, target=target)
        case 429:
            return Throttled(text, hint=words.throttled_hint, target=target)
        case 501:
            return DependencyMissing(text, hint="this server does not have the feature", target=target)
        case 408 | 410 | 449:
            return Unreachable(text, hint="try again", target=target)
        case _ if status >= 500:
            return Unreachable(text, hint="the service has a problem; try again", target=target)
        case _:
            return DbopsError(text, target=target)


def _sentence(said: str | bytes) -> str:
    """Find the sentence in the JSON of an error: {"message": ...}, in {"error": ...} or not."""
    try:
        told: Any = orjson.loads(said)
        return str(told.get("error", told)["message"])
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return said if isinstance(said, str) else said[:1000].decode("utf-8", "replace")


def no_answer(error: AzureError, *, target: str) -> DbopsError:
    """Tell what happened before there was any answer."""
    text = redact(str(error))
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        reason = re.search(r"certificate verify failed: ([^(\n]*)", text)
        return AuthenticationFailed(
            f"its certificate is not trusted: {reason[1].strip() if reason else 'it does not verify'}",
            hint="name the authority that signed it: root_cert",
            target=target,
        )
    hint = "check its endpoint and the network"
    if not isinstance(error, ServiceRequestError):
        hint += "; what was being written may have arrived or not"
    if isinstance(error, HttpResponseError):  # it answered, and not to be understood
        return Unreachable(f"the answer broke off: {first_line(text)}", hint=hint, target=target)
    return Unreachable(f"no answer: {_cause(text)}", hint=hint, target=target)


_CAUSES = (
    ("Name or service not known", "its name is not known"),
    ("Temporary failure in name resolution", "its name cannot be looked up now"),
    ("Failed to resolve", "its name cannot be looked up"),
    ("Connection refused", "the connection was refused"),
    ("Network is unreachable", "the network cannot be reached"),
    ("No route to host", "there is no route to it"),
    ("timed out", "it took too long"),
    ("Connection aborted", "the connection broke"),
    ("Connection reset", "the connection broke"),
    ("IncompleteRead", "the connection broke in the middle of an answer"),
)


def _cause(text: str) -> str:
    return next((told for sign, told in _CAUSES if sign in text), first_line(text))


def first_line(text: str) -> str:
    """Return what a service said without the identifiers and traces that it adds."""
    line = re.split(r"\r?\n|,? ?ActivityId:|, Request URI:", text.strip(), maxsplit=1)[0].strip()
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which names there are, the nearest first, for a hint."""
    known = sorted(names)
    if not known:
        return "there is none at all"
    near = raw.nearest(name, known)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"there is {', '.join(known[:5])}{' …' if len(known) > 5 else ''}"
