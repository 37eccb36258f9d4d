"""The stores of one sandbox, reached by where its servers are.

The configuration beside them is the operator's to change, and could lead anywhere; made-up rows must not.
"""

from dbops.config.fields import SecretFile
from dbops.config.model import Cosmos, Postgres, Redis, Search
from dbops.sandbox.facts import CACHE, CLUSTER, DATABASES, SEARCH, WORKFLOWS
from dbops.sandbox.layout import Layout
from dbops.servers import emulator, postgres, redis

LEDGER = "policycortex"  # as [platform] ledger says


def database(layout: Layout, target: str) -> Postgres:
    owner = f"{target}_owner"
    dsn = postgres.conninfo(layout.server, user=owner, dbname=DATABASES[target])
    return Postgres(cluster=CLUSTER, dsn=dsn, password=SecretFile(file=layout.secret_file(owner)))


def cache(layout: Layout) -> Redis:
    return Redis(url=redis.url(layout.cache), password=SecretFile(file=layout.secret_file(CACHE)))


def workflows(layout: Layout) -> Cosmos:
    endpoint = emulator.url(layout.emulator(WORKFLOWS))
    return Cosmos(endpoint=endpoint, database=WORKFLOWS, key=SecretFile(file=layout.secret_file(WORKFLOWS)))


def search(layout: Layout) -> Search:
    endpoint = emulator.url(layout.emulator(SEARCH))
    return Search(endpoint=endpoint, key=SecretFile(file=layout.secret_file(SEARCH)))
