"""Where everything of a sandbox is.

DIR/dbops.toml   the configuration of the platform, complete
DIR/secrets/     one file for each password, 0600
DIR/state/       journals and locks of dbops
DIR/postgres/    cluster main           (belongs to the servers' account)
DIR/pgbackrest/  its stanza             (likewise)
DIR/redis/       target cache           (likewise)
DIR/workflows/   target workflows, the emulator of Cosmos DB   (likewise)
DIR/search/      target search, the emulator of AI Search      (likewise)
DIR/vault/       artifacts of dbops
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops.config.fields import SecretFile
from dbops.config.load import resolve
from dbops.config.model import Cluster
from dbops.errors import Refused
from dbops.sandbox.facts import CACHE, CLUSTER, EMULATORS, QUERY_KEY, SEARCH, SUPERUSER, WORKFLOWS
from dbops.servers import account, emulator, postgres, redis, stanza

_VISIBLE_AFTER_S = 1.0  # the service says "a few seconds": who counts at once has to see that it was too early


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sandbox. `root` is absolute; parents are resolved, so that a path has one form."""

    root: Path
    durable: bool = True

    @property
    def marker(self) -> Path:
        return self.root / ".sandbox"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def config(self) -> Path:
        return self.root / "dbops.toml"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def stanza(self) -> stanza.Stanza:
        return stanza.Stanza(self.root / "pgbackrest", CLUSTER)

    @property
    def server(self) -> postgres.Server:
        settings = postgres.counting_statements()  # changes of schemas are judged by who still uses the old names
        return postgres.Server(self.root / "postgres", durable=self.durable, settings=settings)

    @property
    def cache(self) -> redis.Server:
        return redis.Server(self.root / "redis")

    @property
    def vault(self) -> Path:
        return self.root / "vault"

    def emulator(self, target: str, *, with_keys: bool = False) -> emulator.Server:
        """Describe an emulator; only who starts it has to know its keys."""
        settings: dict[str, Any] = {}
        if with_keys:
            settings["key"] = self.secret(target)
            if target == WORKFLOWS:
                settings["databases"] = [WORKFLOWS]
            else:
                settings |= {"query_key": self.secret(QUERY_KEY), "visible_after_s": _VISIBLE_AFTER_S}
        return emulator.Server(self.root / target, "cosmos" if target == WORKFLOWS else "search", settings)

    @property
    def cluster(self) -> Cluster:
        """Describe the cluster for a superuser's connection."""
        return Cluster(
            dsn=postgres.conninfo(self.server),
            password=SecretFile(file=self.secret_file(SUPERUSER)),
            run_as=account.name(),
        )

    def secret_file(self, name: str) -> Path:
        return self.secrets / name

    def secret(self, name: str) -> str:
        target = name if name in (CACHE, *EMULATORS) else SEARCH if name == QUERY_KEY else CLUSTER
        return resolve(SecretFile(file=self.secret_file(name)), target=target)


def at(folder: Path, *, durable: bool = True) -> Layout:
    """Lay out the sandbox in `folder`, which need not exist, but has to be a place that can be looked at."""
    layout = Layout(folder.resolve(), durable)
    try:
        layout.marker.exists()
    except OSError as error:  # a closed parent, a name that is too long
        account.refuse_closed(layout.root)
        raise Refused(f"{layout.root} cannot hold a sandbox: {error.strerror}") from error
    return layout
