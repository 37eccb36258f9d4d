"""Every database of the platform with its tables, in the order in which their references allow to fill them."""

from collections.abc import Callable

from dbops.sandbox.seed import (
    agent_studio,
    audit,
    example,
    file_storage,
    llm_agent,
    modernize,
    notification,
    policycortex,
    validation,
    workflow,
)
from dbops.sandbox.seed.lines import Table
from dbops.sandbox.seed.world import World

# The longest first: two are filled at a time, and none should be left over.
TABLES: dict[str, Callable[[World], tuple[Table, ...]]] = {
    "policycortex": policycortex.tables,
    "agent_studio": agent_studio.tables,
    "audit": audit.tables,
    "llm_agent": llm_agent.tables,
    "workflow": workflow.tables,
    "notification": notification.tables,
    "validation": validation.tables,
    "modernize": modernize.tables,
    "file_storage": file_storage.tables,
    "example": example.tables,
}
