"""AI Search: the two indexes of the platform, what agents remember, and the knowledge base."""

from collections.abc import Iterator
from typing import Any

from dbops.engine import clock, stop
from dbops.errors import CouldNotVerify, DbopsError
from dbops.sandbox.seed import people
from dbops.sandbox.seed.documents import message
from dbops.sandbox.seed.facts import Facts, Part
from dbops.sandbox.seed.markers import Told
from dbops.sandbox.seed.vectors import DIMENSIONS, vector
from dbops.sandbox.seed.world import World, id_of, instant
from dbops.stores.search import Document, Service

MEMORY, KNOWLEDGE = "agent-memory-index", "knowledge-base-index"
_TEXT = "Edm.String"
_WHEN = "Edm.DateTimeOffset"
_SHOWN_WITHIN_S, _POLL_S = 60.0, 0.2
_LAST = 3  # the message of a session that is remembered


def _field(name: str, kind: str = _TEXT, *can: str, **more: Any) -> dict[str, Any]:
    """Define a field; what it cannot do is said too, because the service's defaults differ by type."""
    able = {word: word in can for word in ("searchable", "filterable", "sortable", "facetable")}
    return {"name": name, "type": kind, **able, **more}


def _vector(profile: str) -> dict[str, Any]:
    kind = "Collection(Edm.Single)"
    # retrievable, or no export could hold what a restore needs
    more = {"dimensions": DIMENSIONS, "vectorSearchProfile": profile, "retrievable": True}
    return _field("contentVector", kind, "searchable", **more)


def _nearness(name: str) -> dict[str, Any]:
    parameters = {"metric": "cosine", "m": 4, "efConstruction": 400, "efSearch": 500}
    algorithm = f"{name}-hnsw-algorithm"
    return {
        "profiles": [{"name": f"{name}-vector-profile", "algorithm": algorithm}],
        "algorithms": [{"name": algorithm, "kind": "hnsw", "hnswParameters": parameters}],
    }


def _semantic(name: str, keywords: str, title: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "prioritizedContentFields": [{"fieldName": "content"}],
        "prioritizedKeywordsFields": [{"fieldName": keywords}],
    }
    if title is not None:
        fields["titleField"] = {"fieldName": title}
    return {"configurations": [{"name": f"{name}-semantic-config", "prioritizedFields": fields}]}


_RECENT = {
    "name": "recency-boost",
    "functionAggregation": "sum",
    "functions": [
        {
            "type": "freshness",
            "fieldName": "timestamp",
            "boost": 2.0,
            "interpolation": "linear",
            "freshness": {"boostingDuration": "P7D"},
        }
    ],
}
_METADATA = [
    _field("userId", _TEXT, "filterable"),
    _field("tags", "Collection(Edm.String)", "filterable", "searchable"),  # the semantic configuration reads them
    _field("tokensUsed", "Edm.Int32", "filterable"),
]
INDEXES: dict[str, dict[str, Any]] = {
    MEMORY: {
        "name": MEMORY,
        "fields": [
            # Filterable and sortable, which the documents leave out: or no export could page through all entries.
            _field("memoryId", _TEXT, "filterable", "sortable", key=True),
            _field("workspaceId", _TEXT, "filterable", "facetable"),
            _field("agentId", _TEXT, "filterable"),
            _field("sessionId", _TEXT, "filterable"),
            _field("content", _TEXT, "searchable", analyzer="en.microsoft"),
            _vector("memory-vector-profile"),
            _field("messageType", _TEXT, "filterable"),
            _field("timestamp", _WHEN, "filterable", "sortable"),
            {"name": "metadata", "type": "Edm.ComplexType", "fields": _METADATA},
        ],
        "scoringProfiles": [_RECENT],
        "vectorSearch": _nearness("memory"),
        "semantic": _semantic("memory", "metadata/tags", None),
    },
    KNOWLEDGE: {
        "name": KNOWLEDGE,
        "fields": [
            _field("documentId", _TEXT, "filterable", "sortable", key=True),
            _field("workspaceId", _TEXT, "filterable"),
            _field("title", _TEXT, "searchable"),
            _field("content", _TEXT, "searchable", analyzer="en.microsoft"),
            _vector("rag-vector-profile"),
            _field("chunkIndex", "Edm.Int32", "filterable", "sortable"),
            _field("sourceUrl", _TEXT, "filterable"),
            _field("category", _TEXT, "filterable", "facetable", "searchable"),
            _field("updatedAt", _WHEN, "filterable", "sortable"),
        ],
        "vectorSearch": _nearness("rag"),
        "semantic": _semantic("rag", "category", "title"),
    },
}


def counts(world: World) -> dict[str, int]:
    return {MEMORY: world.size.memories, KNOWLEDGE: world.size.passages}


def observe(service: Service, world: World, told: Told) -> Facts:
    there = {str(one["name"]) for one in service.definitions("indexes", only="name")}
    parts = tuple(
        Part(
            name,
            rows,
            exists=name in there,
            holds=name in there and service.count(name) > 0,
            begun=told.begun.get(name),
            filled=told.filled.get(name),
        )
        for name, rows in counts(world).items()
    )
    return Facts(service.target, "entries", parts)


def create(service: Service, name: str) -> None:
    service.put("indexes", INDEXES[name], new=True)


def write(service: Service, world: World, name: str) -> None:
    """Upload all entries, a thousand at a time; those that are there already become what they are."""
    written = service.write(name, ({"@search.action": "upload", **one} for one in entries(name, world)))
    if written.failed:
        first = written.failed[0]
        raise DbopsError(
            f"{name} did not take {len(written.failed)} entries; {first.key}: {first.status} {first.message}",
            hint="run the same command again",
            target=service.target,
        )
    _await_all(service, name, counts(world)[name])


def _await_all(service: Service, name: str, count: int) -> None:
    """The service shows entries a moment after it took them; whoever looks next should find them."""
    deadline = clock.monotonic() + _SHOWN_WITHIN_S
    while (found := service.count(name)) < count:
        if clock.monotonic() > deadline:
            raise CouldNotVerify(
                f"{name} took {count} entries and shows {found}", hint="run again", target=service.target
            )
        stop.pause(_POLL_S)


def entries(name: str, world: World) -> Iterator[Document]:
    if name == MEMORY:
        return (_memory(world, n) for n in range(world.size.memories))
    return (_passage(world, n) for n in range(world.size.passages))


def _memory(world: World, n: int) -> Document:
    """What execution n left behind; where it was a conversation, its last message."""
    session = n % world.sessions
    agent = world.agent_of(session)
    said = message(world, session, _LAST if n == session else 1)
    return {
        "memoryId": id_of("memory", n),
        "workspaceId": said["workspaceId"],
        "agentId": id_of("agent", agent),
        "sessionId": said["sessionId"],
        "content": said["content"],
        "contentVector": vector(world, people.topic(agent), f"memory/{n}"),
        "messageType": said["role"],
        "timestamp": said["timestamp"],
        "metadata": {
            "userId": said["metadata"]["userId"],
            "tags": people.topic(agent).split(),
            "tokensUsed": said["metadata"]["tokensUsed"],
        },
    }


def _passage(world: World, n: int) -> Document:
    """Files are cut into three passages each; the file is one of file_storage."""
    file, part = n // 3, n % 3
    about = people.topic(file)
    chance = world.chance(f"passage/{n}")
    return {
        "documentId": id_of("passage", n),
        "workspaceId": id_of("tenant", world.tenant_of(file)),
        "title": f"{about.title()}, part {part + 1}",
        "content": people.prose(chance, about, 6),
        "contentVector": vector(world, about, f"passage/{n}"),
        "chunkIndex": part,
        "sourceUrl": f"s3://files/{id_of('tenant', world.tenant_of(file))}/{id_of('file', file)}",
        "category": about,
        "updatedAt": instant(world.ago(200 - file * 13 % 190)),
    }
