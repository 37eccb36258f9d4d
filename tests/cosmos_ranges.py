"""A query run as the SDK runs it across partitions: a plan, each range on its own, and the SDK's own merging."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from azure.cosmos._execution_context import execution_dispatcher, multi_execution_aggregator, query_execution_info

from dbops.sandbox.emulators.cosmos import sql

# The SDK keeps these to itself and untyped; the tests want exactly them.
_merging: Any = multi_execution_aggregator
_pipeline: Any = execution_dispatcher
_info: Any = query_execution_info


class _Merging(_merging._MultiExecutionContextAggregator):
    """The SDK's merging, with the results of each range at hand in place of pages over HTTP."""

    def _createTargetPartitionQueryExecutionContext(self, part: dict[str, Any]) -> Any:  # noqa: N802 - the SDK's name
        mine: Any = self
        kept: Any = _merging._MultiExecutionContextAggregator
        producer = kept._createTargetPartitionQueryExecutionContext(self, part)
        text = mine._partitioned_query_ex_info.get_rewritten_query() or mine._query["query"]
        producer._ex_context = iter(list(sql.compile(text, mine._query["values"]).run(part["documents"])))
        return producer


def merged(
    text: str, ranges: Sequence[Sequence[dict[str, Any]]], parameters: Mapping[str, Any] | None = None
) -> list[Any]:
    """The results of a query over all ranges, put together by azure-cosmos."""
    values = parameters or {}
    bounds = ["", *(f"{place:02X}" for place in range(1, len(ranges))), "FF"]
    parts = [
        {"id": str(place), "minInclusive": bounds[place], "maxExclusive": bounds[place + 1], "documents": documents}
        for place, documents in enumerate(ranges)
    ]
    options: dict[str, Any] = {"enableCrossPartitionQuery": True}
    told = _info._PartitionedQueryExecutionInfo(
        {
            "queryInfo": sql.plan(sql.compile(text, values)),
            "queryRanges": [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}],
        }
    )

    def overlapping(*_: Any) -> list[dict[str, Any]]:
        return parts

    client = SimpleNamespace(_routing_map_provider=SimpleNamespace(get_overlapping_ranges=overlapping))
    each: Any = _Merging(client, "dbs/d/colls/c", {"query": text, "values": values}, options, told, None, None)
    each._configure_partition_ranges()
    together = _pipeline._PipelineExecutionContext(client, options, each, told)
    return list(together)
