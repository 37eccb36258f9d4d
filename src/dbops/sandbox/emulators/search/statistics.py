"""The statistics of the whole service, with the quotas of one unit of the tier S1."""

from typing import Any

from dbops.sandbox.emulators.search import fields
from dbops.sandbox.emulators.search.answers import answer
from dbops.sandbox.emulators.search.indexes import QUOTA
from dbops.sandbox.emulators.search.resources import SORTS
from dbops.sandbox.emulators.search.state import State
from dbops.sandbox.emulators.web import Reply, Request

_STORAGE = 160 << 30
_VECTORS = 35 << 30


def show(state: State, request: Request) -> Reply:
    sizes = [state.index(one.name).table.sizes() for one in state.catalog.listed("index")]
    documents, storage, vectors = (sum(size[part] for size in sizes) for part in range(3))
    counters = {
        "aliasesCount": _counter(state.catalog.count("alias"), SORTS["aliases"].most),
        "documentCount": _counter(documents, None),
        "indexesCount": _counter(state.catalog.count("index"), int(state.settings.get("indexes") or QUOTA)),
        "indexersCount": _counter(0, 50),
        "dataSourcesCount": _counter(0, 50),
        "storageSize": _counter(storage, _STORAGE),
        "synonymMaps": _counter(state.catalog.count("synonymmap"), SORTS["synonymmaps"].most),
        "skillsetCount": _counter(0, 50),
        "vectorIndexSize": _counter(vectors, _VECTORS),
    }
    limits: dict[str, Any] = {
        "maxStoragePerIndex": _STORAGE,
        "maxFieldsPerIndex": fields.MOST_FIELDS,
        "maxFieldNestingDepthPerIndex": fields.DEEPEST,
        "maxComplexCollectionFieldsPerIndex": fields.MOST_COMPLEX_COLLECTIONS,
        "maxComplexObjectsInCollectionsPerDocument": 3000,
    }
    told = {"counters": counters, "limits": limits}
    return answer(request, 200, told, "Microsoft.Azure.Search.V2024_07_01.ServiceStatistics")


def _counter(usage: int, quota: int | None) -> dict[str, int | None]:
    return {"usage": usage, "quota": quota}
