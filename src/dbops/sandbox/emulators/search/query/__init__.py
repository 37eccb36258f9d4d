"""The queries of the AI Search emulator: where documents lie, and how a search finds them."""

from dbops.sandbox.emulators.search.query.answer import search
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.table import Table

__all__ = ["Invalid", "Table", "Unsupported", "search"]
