"""A running search emulator as a test sees it: clients of the SDK, and requests that the SDK would not make."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, cast

from azure.core.credentials import AzureKeyCredential
from azure.core.rest import HttpRequest, HttpResponse
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import SearchIndex
from azure.search.documents.models import IndexingResult

from dbops.servers import emulator

import openapi

ADMIN, QUERY = "admin-key", "query-key"
SETTINGS: Mapping[str, Any] = {"key": ADMIN, "query_key": QUERY}
VERSION = "2026-04-01"
VECTORS: dict[str, Any] = {
    "profiles": [{"name": "plain", "algorithm": "near"}, {"name": "far", "algorithm": "euclid"}],
    "algorithms": [
        {"name": "near", "kind": "hnsw"},
        {"name": "euclid", "kind": "exhaustiveKnn", "exhaustiveKnnParameters": {"metric": "euclidean"}},
    ],
}


def field(name: str, kind: str = "Edm.String", **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **attributes}


def vector(name: str = "vec", dimensions: int = 3, **attributes: Any) -> dict[str, Any]:
    return field(name, "Collection(Edm.Single)", dimensions=dimensions, vectorSearchProfile="plain", **attributes)


def definition(name: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Define an index with a key field and others."""
    if any("dimensions" in one for one in fields):
        more.setdefault("vectorSearch", VECTORS)
    return {"name": name, "fields": [field("id", key=True), *fields], **more}


class Documents(Protocol):
    """The SDK's SearchClient, with the types that it leaves half unsaid."""

    def upload_documents(self, documents: list[dict[str, Any]], **options: Any) -> list[IndexingResult]: ...

    def merge_documents(self, documents: list[dict[str, Any]], **options: Any) -> list[IndexingResult]: ...

    def merge_or_upload_documents(self, documents: list[dict[str, Any]], **options: Any) -> list[IndexingResult]: ...

    def delete_documents(self, documents: list[dict[str, Any]], **options: Any) -> list[IndexingResult]: ...

    def get_document(self, key: str, *, selected_fields: list[str] | None = None) -> dict[str, Any]: ...

    def get_document_count(self) -> int: ...

    def search(self, search_text: str | None = None, **options: Any) -> Iterator[dict[str, Any]]: ...

    def send_request(self, request: HttpRequest, *, stream: bool = False, **options: Any) -> HttpResponse: ...


@dataclass(frozen=True)
class Raw:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json()["error"]["message"]


class Service:
    """One emulator and everything that was opened to talk to it."""

    def __init__(self, server: emulator.Server) -> None:
        self.server = server
        self._open = ExitStack()
        self.indexes = self.index_client(ADMIN)

    @property
    def url(self) -> str:
        return emulator.url(self.server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def index_client(self, key: str) -> SearchIndexClient:
        client = SearchIndexClient(self.url, AzureKeyCredential(key), retry_total=0, per_call_policies=[openapi.Held()])
        return self._open.enter_context(client)

    def documents(self, name: str, key: str = ADMIN, *, held: bool = True, **options: Any) -> Documents:
        """Return a client of an index; `held`: each answer is checked, which takes longer than the answer."""
        options.setdefault("retry_total", 0)
        options |= {"per_call_policies": [openapi.Held()]} if held else {}
        client = SearchClient(self.url, name, AzureKeyCredential(key), **options)
        return cast("Documents", self._open.enter_context(client))

    def create(self, *fields: dict[str, Any], name: str = "docs", **more: Any) -> Documents:
        """Make an index and return a client of its documents."""
        self.indexes.create_index(SearchIndex(definition(name, *fields, **more)))
        return self.documents(name)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = ADMIN,
        version: str | None = VERSION,
        **headers: str,
    ) -> Raw:
        """Send a request by hand; header names have underscores for dashes."""
        talk = http.client.HTTPConnection(emulator.HOST, emulator.port(self.server) or 0, timeout=30)
        try:
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            told |= {} if key is None else {"api-key": key}
            target = path if version is None else f"{path}{'&' if '?' in path else '?'}api-version={version}"
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            talk.request(method, target, body=data, headers=told)
            answer = talk.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Raw(answer.status, names, answer.read())
        finally:
            talk.close()

    def empty(self) -> None:
        """Leave the service as a test found it."""
        emulator.inject(self.server)
        for alias in list(self.indexes.list_alias_names()):
            self.indexes.delete_alias(alias)
        for name in list(self.indexes.list_index_names()):
            self.indexes.delete_index(name)
        for name in self.indexes.get_synonym_map_names():
            self.indexes.delete_synonym_map(name)
