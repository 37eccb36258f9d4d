"""What Azure's services answer, turned into our errors; signing in, and how long that may take."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

from dbops import redact
from dbops.config.model import Cosmos, Search
from dbops.errors import AuthenticationFailed, ConfigInvalid, DbopsError, DependencyMissing, Refused, Unreachable
from dbops.stores import azure
from dbops.stores.azure import Bounded, Conflict, Exists, Missing, Throttled, TooLarge, Words

WORDS = Words("It", Refused, "ask for a role", "ask for more")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, DbopsError),
        (401, AuthenticationFailed),
        (403, Refused),
        (404, Missing),
        (408, Unreachable),
        (409, Exists),
        (410, Unreachable),
        (412, Conflict),
        (413, TooLarge),
        (429, Throttled),
        (449, Unreachable),
        (500, Unreachable),
        (501, DependencyMissing),
        (503, Unreachable),
    ],
)
def test_every_status_has_its_kind_of_error(status: int, kind: type[DbopsError]) -> None:
    told = azure.failure(status, '{"code": "X", "message": "so it is"}', WORDS, target="t")
    assert type(told) is kind
    assert told.message == f"It answers {status}: so it is"
    assert told.target == "t"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('{"error": {"code": "", "message": "The index is gone."}}', "The index is gone."),
        (b'{"message": "Too much\\r\\nActivityId: 12-34, Request URI: /a"}', "Too much"),
        ("Resource Not Found, ActivityId: 1", "Resource Not Found"),
        ("[1]", "[1]"),
        ("", "it says nothing"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ('{"message": "' + "x" * 5000 + '"}', "x" * 300 + "…"),
    ],
)
def test_what_a_service_says_is_told_in_one_line_without_its_traces(said: str | bytes, told: str) -> None:
    assert azure.failure(400, said, WORDS, target="t").message == f"It answers 400: {told}"


def test_a_key_in_what_a_service_says_is_blanked() -> None:
    redact.register("account-key-of-mine")
    assert "account-key" not in azure.failure(401, "wrong: account-key-of-mine", WORDS, target="t").message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("HTTPConnectionPool: Max retries: [Errno 111] Connection refused", "the connection was refused"),
        ("HTTPSConnectionPool(host='x'): Read timed out. (read timeout=5)", "it took too long"),
        ("Failed to resolve 'x' ([Errno -2] Name or service not known)", "its name is not known"),
    ],
)
def test_why_there_was_no_answer_is_told_shortly(text: str, told: str) -> None:
    error = azure.no_answer(ServiceRequestError(text), target="t")
    assert isinstance(error, Unreachable)
    assert error.message == f"no answer: {told}"
    assert "may have arrived" not in str(error.hint)


def test_a_line_that_broke_later_leaves_open_whether_the_request_arrived() -> None:
    error = azure.no_answer(ServiceResponseError("('Connection aborted.', RemoteDisconnected())"), target="t")
    assert error.message == "no answer: the connection broke"
    assert "may have arrived" in str(error.hint)


def test_a_certificate_that_nobody_vouches_for_is_no_reason_to_try_again() -> None:
    text = "SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c)')"
    error = azure.no_answer(ServiceRequestError(text), target="t")
    assert isinstance(error, AuthenticationFailed)
    assert "self-signed certificate" in error.message
    assert "root_cert" in str(error.hint)


class Chain:
    """A credential as azure-identity's are, with an answer of our own."""

    def __init__(self, answer: AccessToken | Exception | threading.Event) -> None:
        self.answer = answer

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        match self.answer:
            case AccessToken():
                return self.answer
            case threading.Event():
                self.answer.wait(60)
                raise ClientAuthenticationError("too late")
            case _:
                raise self.answer


def bounded(answer: AccessToken | Exception | threading.Event, within: timedelta = timedelta(seconds=30)) -> Bounded:
    return Bounded(Chain(answer), within, "t")


def test_a_token_is_a_secret() -> None:
    assert bounded(AccessToken("token-of-an-identity", 0)).get_token("scope").token == "token-of-an-identity"
    assert redact.redact("it was token-of-an-identity") == "it was ***"


def test_an_identity_that_waits_for_a_network_is_given_up() -> None:
    over = threading.Event()
    with pytest.raises(AuthenticationFailed, match="no identity answered within 100 ms"):
        bounded(over, timedelta(milliseconds=100)).get_token("scope")
    over.set()


def test_the_page_that_the_default_chain_writes_becomes_a_line() -> None:
    page = (
        "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
        "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Not configured.\nVisit https://x\n"
        "\tAzureCliCredential: Azure CLI not found on path\nTo mitigate this issue, please refer to"
    )
    with pytest.raises(AuthenticationFailed) as told:
        bounded(ClientAuthenticationError(page)).get_token("scope")
    assert told.value.message == "nobody could sign in; tried Environment, AzureCli"
    assert "az login" in str(told.value.hint)


def test_the_reason_that_entra_gives_is_kept() -> None:
    page = "x\n\tEnvironmentCredential: Authentication failed: AADSTS7000215: Invalid client secret provided.\nTrace"
    with pytest.raises(AuthenticationFailed, match="AADSTS7000215: Invalid client secret provided"):
        bounded(ClientAuthenticationError(page)).get_token("scope")


def test_a_bug_in_an_identity_stays_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        bounded(ZeroDivisionError()).get_token("scope")


@pytest.mark.parametrize("place", [Cosmos(endpoint="http://h", database="d"), Search(endpoint="http://h")])
def test_a_token_does_not_travel_over_http(place: Cosmos | Search) -> None:
    with pytest.raises(ConfigInvalid, match="only https"), azure.signed_in(place, "http://h", target="t", within=None):
        pass


@pytest.mark.parametrize(
    ("name", "names", "told"),
    [
        ("workflow", ["audit", "workflows"], "did you mean 'workflows'?"),
        ("x", ["c", "a", "b"], "there is a, b, c"),
        ("x", list("abcdefg"), "there is a, b, c, d, e …"),
        ("x", [], "there is none at all"),
    ],
)
def test_the_nearest_name_is_told(name: str, names: list[str], told: str) -> None:
    assert azure.nearest(name, names) == told
