"""Look at all that a restore brought back: rows, indexes, sequences, security; what it could do, and what it lacks."""

from dbops.operations.clusters.restore.examine.check import check, harmless
from dbops.operations.clusters.restore.examine.facts import Examined
from dbops.operations.clusters.restore.examine.live import live
from dbops.operations.clusters.restore.examine.observe import examine, what_it_brought

__all__ = ["Examined", "check", "examine", "harmless", "live", "what_it_brought"]
