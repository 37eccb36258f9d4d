"""From what is found to what is left to do, for `up` and for `down`."""

from dataclasses import dataclass

from dbops.engine.plan import Plan, Risk, Step
from dbops.sandbox.facts import CACHE, CLUSTER, DATABASES, SECRETS, WORKFLOWS, Archive, Facts, ScratchCopy, State

TARGET = "sandbox"


@dataclass(frozen=True, slots=True)
class WriteSecrets:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Initialise: ...


@dataclass(frozen=True, slots=True)
class StartCluster: ...


@dataclass(frozen=True, slots=True)
class EnsureOwner:
    target: str


@dataclass(frozen=True, slots=True)
class EnsureDatabase:
    target: str


@dataclass(frozen=True, slots=True)
class CreateStanza: ...


@dataclass(frozen=True, slots=True)
class CheckArchiving: ...


@dataclass(frozen=True, slots=True)
class StartCache: ...


@dataclass(frozen=True, slots=True)
class StartEmulator:
    target: str


@dataclass(frozen=True, slots=True)
class MakeVault: ...


@dataclass(frozen=True, slots=True)
class WriteConfig: ...


@dataclass(frozen=True, slots=True)
class StopEmulator:
    target: str


@dataclass(frozen=True, slots=True)
class StopCache: ...


@dataclass(frozen=True, slots=True)
class StopCluster: ...


@dataclass(frozen=True, slots=True)
class StopCopy:
    name: str


@dataclass(frozen=True, slots=True)
class RemoveCopy:
    name: str


@dataclass(frozen=True, slots=True)
class RemoveFiles: ...


Action = (
    WriteSecrets
    | Initialise
    | StartCluster
    | EnsureOwner
    | EnsureDatabase
    | CreateStanza
    | CheckArchiving
    | StartCache
    | StartEmulator
    | MakeVault
    | WriteConfig
    | StopEmulator
    | StopCache
    | StopCluster
    | StopCopy
    | RemoveCopy
    | RemoveFiles
)


def up(facts: Facts) -> Plan[Action]:
    """Plan what is missing of a whole and running sandbox."""
    steps: list[Step[Action]] = []
    if missing := tuple(name for name in SECRETS if name not in facts.secrets):
        steps.append(Step("secrets", f"write {len(missing)} random passwords, mode 0600", WriteSecrets(missing)))
    if facts.cluster is State.ABSENT:
        steps.append(Step("initialise", f"initialise cluster {CLUSTER}: UTF8, checksums, passwords", Initialise()))
    if facts.cluster is not State.RUNNING:
        how = " again after it was killed" if facts.cluster is State.KILLED else ""
        steps.append(Step("start cluster", f"start cluster {CLUSTER}{how}", StartCluster()))
    steps += _databases(facts)
    if facts.archive is Archive.ABSENT:
        steps.append(Step("stanza", f"create the pgBackRest stanza of {CLUSTER}", CreateStanza()))
    if facts.archive is not Archive.ARCHIVING:
        steps.append(Step("archiving", "see one WAL segment arrive in the repository", CheckArchiving()))
    if facts.cache is not State.RUNNING:
        how = " again after it was killed" if facts.cache is State.KILLED else ""
        steps.append(Step("start cache", f"start Redis {CACHE}{how}", StartCache()))
    for target, state in facts.emulators.items():
        if state is not State.RUNNING:
            steps.append(
                Step(f"start {target}", f"start the {_service(target)} emulator {target}", StartEmulator(target))
            )
    if not facts.vault:
        steps.append(Step("vault", "make the folder of the vault", MakeVault()))
    if not facts.configured:
        steps.append(Step("configuration", "write dbops.toml", WriteConfig()))
    elif {*facts.emulators.values()} != {State.RUNNING}:
        # a port may have become somebody else's while its emulator was stopped
        steps.append(Step("configuration", "see that dbops.toml tells the emulators' ports", WriteConfig()))
    return Plan(TARGET, f"bring up the sandbox in {facts.home}", tuple(steps))


def _databases(facts: Facts) -> list[Step[Action]]:
    """While the cluster is stopped nobody can see what it holds: then each is made sure of."""
    verb = "make sure of" if facts.owners is None else "create"
    steps: list[Step[Action]] = []
    for target, database in DATABASES.items():
        owner = f"{target}_owner"
        if target not in (facts.owners or ()):
            steps.append(Step(f"owner {target}", f"{verb} role {owner}", EnsureOwner(target)))
        if target not in (facts.databases or ()):
            summary = f"{verb} database {database}, owned by {owner}"
            steps.append(Step(f"database {target}", summary, EnsureDatabase(target)))
    return steps


def down(facts: Facts, *, purge: bool) -> Plan[Action]:
    """Plan that no process is left and, with `purge`, no file."""
    steps = [step for copy in facts.copies for step in _without(copy, purge=purge)]
    for target, state in facts.emulators.items():
        if state not in (State.ABSENT, State.STOPPED):
            steps.append(Step(f"stop {target}", f"stop the {_service(target)} emulator {target}", StopEmulator(target)))
    if facts.cache not in (State.ABSENT, State.STOPPED):
        steps.append(Step("stop cache", _stopping(f"Redis {CACHE}", facts.cache), StopCache()))
    if facts.cluster not in (State.ABSENT, State.STOPPED):
        steps.append(Step("stop cluster", _stopping(f"cluster {CLUSTER}", facts.cluster), StopCluster()))
    if purge and facts.exists:
        summary = f"remove {facts.home} with all data, backups, secrets and journals in it"
        steps.append(Step("purge", summary, RemoveFiles(), risk=Risk.BLOCKS))
    return Plan(TARGET, f"take down the sandbox in {facts.home}", tuple(steps))


def _without(copy: ScratchCopy, *, purge: bool) -> list[Step[Action]]:
    """Only a copy in another folder is removed for itself: with the sandbox goes all that knows of it."""
    if purge and copy.elsewhere:
        return [Step(f"remove copy {copy.name}", f"remove scratch copy {copy.folder}", RemoveCopy(copy.name))]
    if copy.at_work:
        return [Step(f"stop copy {copy.name}", f"stop scratch copy {copy.folder}", StopCopy(copy.name))]
    return []


def _service(target: str) -> str:
    return "Cosmos DB" if target == WORKFLOWS else "AI Search"


def _stopping(what: str, state: State) -> str:
    return f"clear what the killed {what} left" if state is State.KILLED else f"stop {what}"
