"""Answers of the search emulator, held against the service's own OpenAPI documents (tests/specs).

Two relaxations: enumerations that the service calls open are open, and what is not required may be null, because the
service itself writes nulls there.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from jsonschema import Draft4Validator

SPECS = Path(__file__).with_name("specs")
_INDEX = re.compile(r"/indexes(?:\('[^']+'\)|/[^/]+)(?=/docs)")
_NAMED = re.compile(r"\('[^']*'\)")
_ALIASES = re.compile(r"/aliases(?:\('[^']+'\))?")


@cache
def _spec(name: str) -> dict[str, Any]:
    return _relaxed(json.loads((SPECS / "azure-search-2024-07-01" / f"{name}.json").read_bytes()))


def _relaxed(node: Any) -> Any:
    if isinstance(node, list):
        return [_relaxed(one) for one in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    whole = {key: _relaxed(value) for key, value in cast("dict[str, Any]", node).items()}
    if isinstance(whole.get("x-ms-enum"), dict) and whole["x-ms-enum"].get("modelAsString"):
        whole.pop("enum", None)
    if isinstance(whole.get("properties"), dict):
        required: list[str] = whole["required"] if isinstance(whole.get("required"), list) else []
        whole["properties"] = {
            name: one if name in required or not isinstance(one, dict) else {"anyOf": [one, {"type": "null"}]}
            for name, one in whole["properties"].items()
        }
    return whole


@cache
def _validator(spec: str, template: str, method: str, status: int) -> Draft4Validator | None:
    whole = _spec(spec)
    responses = whole["paths"][template][method]["responses"]
    if str(status) not in responses:
        raise AssertionError(f"{method} {template} does not answer {status}: {sorted(responses)}")
    schema = responses[str(status)].get("schema")
    return None if schema is None else Draft4Validator({**schema, "definitions": whole["definitions"]})


def _place(path: str) -> tuple[str, str]:
    """Find the document, and the path in it, that describe a request."""
    if (found := _INDEX.match(path)) is not None:
        rest = path[found.end() :]
        return "searchindex", "/docs('{key}')" if _NAMED.search(rest) else rest
    kind = path.strip("/").partition("(")[0]
    parameter = {"indexes": "indexName", "synonymmaps": "synonymMapName"}.get(kind, "")
    return "searchservice", _NAMED.sub(f"('{{{parameter}}}')", path, count=1)


def check(method: str, url: str, status: int, body: bytes) -> None:
    """Hold one answer to what the service promises; AssertionError tells what is wrong."""
    path = urlsplit(url).path
    if status >= 400:
        _check_error(body, status)
    elif _ALIASES.fullmatch(path):
        _check_alias(json.loads(body) if body else None)
    elif status == 204:
        assert not body
    else:
        spec, template = _place(path)
        validator = _validator(spec, template, method.lower(), status)
        assert validator is not None, f"{method} {path} has no body to answer {status} with"
        told = json.loads(body.decode("utf-8-sig"))
        problems = [error.message for error in validator.iter_errors(told)]  # pyright: ignore[reportUnknownMemberType]
        assert not problems, f"{method} {path} {status}: {problems}"


def _check_error(body: bytes, status: int) -> None:
    error = json.loads(body)["error"]
    assert isinstance(error["code"], str), status
    assert error["message"], status
    for detail in error.get("details", []):
        assert detail["code"]
        assert detail["message"]


def _check_alias(told: Any) -> None:
    """Aliases are newer than the documents."""
    aliases: list[dict[str, Any]] = [] if told is None else told.get("value", [told])
    for alias in aliases:
        assert isinstance(alias["name"], str)
        assert len(alias["indexes"]) == 1
        assert alias["@odata.etag"].startswith('"')


class Held(SansIOHTTPPolicy[Any, Any]):
    """Checks every answer that a client of the SDK gets, but the ones that a test injected."""

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
        answer = response.http_response
        body: bytes = answer.read() if hasattr(answer, "read") else answer.body()
        if b'"injected"' not in body:
            check(request.http_request.method, request.http_request.url, answer.status_code, body)
