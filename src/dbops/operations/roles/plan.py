"""What is missing between the facts and the wishes: one plan for a cluster, one for each of its databases; pure."""

from dbops.operations.roles.plan_of_cluster import plan_cluster
from dbops.operations.roles.plan_of_database import plan_database

__all__ = ["plan_cluster", "plan_database"]
