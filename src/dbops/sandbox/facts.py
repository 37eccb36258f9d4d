"""What can be seen of a sandbox."""

from dataclasses import dataclass
from enum import StrEnum

EXAMPLE = "example"  # holds the worked changes of schemas; no service of the platform has it
# Targets and their databases, as the platform names them.
DATABASES = {
    "policycortex": "policycortex",
    "agent_studio": "agent_studio",
    "llm_agent": "llm_agent_db",
    "workflow": "workflow_db",
    "validation": "validation_db",
    "notification": "notification_db",
    "audit": "audit_db",
    "file_storage": "file_storage_db",
    "modernize": "modernize",
    EXAMPLE: "example",
}
CLUSTER = "main"
CACHE = "cache"
WORKFLOWS = "workflows"  # the Cosmos DB account, and the database in it
SEARCH = "search"
EMULATORS = (WORKFLOWS, SEARCH)
SUPERUSER = "postgres"
QUERY_KEY = f"{SEARCH}_query"
SECRETS = (SUPERUSER, CACHE, WORKFLOWS, SEARCH, QUERY_KEY, *(f"{target}_owner" for target in DATABASES))


class State(StrEnum):
    """How a server is."""

    ABSENT = "absent"
    STOPPED = "stopped"
    KILLED = "killed"  # it left processes, lock files or a private socket folder behind
    STARTING = "starting"  # it runs, and takes no connections yet
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class ScratchCopy:
    """A copy that `dbops pitr restore` keeps track of in this sandbox's state."""

    name: str
    folder: str
    at_work: bool  # its server runs, or was killed and left something
    elsewhere: bool  # its folder is not within the sandbox: removing that one does not remove the copy


class Archive(StrEnum):
    """How far the stanza is."""

    ABSENT = "absent"
    CREATED = "created"
    ARCHIVING = "archiving"  # a WAL segment has arrived


@dataclass(frozen=True, slots=True)
class Facts:
    """A sandbox, as it is found. Owners and databases are None while the cluster does not run."""

    home: str
    exists: bool = False
    secrets: frozenset[str] = frozenset()
    cluster: State = State.ABSENT
    owners: frozenset[str] | None = frozenset()
    databases: frozenset[str] | None = frozenset()
    archive: Archive = Archive.ABSENT
    cache: State = State.ABSENT
    workflows: State = State.ABSENT
    search: State = State.ABSENT
    vault: bool = False
    configured: bool = False
    copies: tuple[ScratchCopy, ...] = ()

    @property
    def emulators(self) -> dict[str, State]:
        return {WORKFLOWS: self.workflows, SEARCH: self.search}

    @property
    def complete(self) -> bool:
        """Tell whether all of it is there and runs."""
        return (
            self.exists
            and self.configured
            and self.secrets >= frozenset(SECRETS)
            and self.cluster is State.RUNNING
            and {self.cache, self.workflows, self.search} == {State.RUNNING}
            and self.vault
            and self.owners == self.databases == frozenset(DATABASES)
            and self.archive is Archive.ARCHIVING
        )
