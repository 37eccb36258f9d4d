"""Look at a sandbox: files, processes, the catalog, the repository. Changes nothing."""

from dbops.engine.run import Run
from dbops.operations.clusters.restore import places
from dbops.operations.roles import scram
from dbops.sandbox.facts import (
    CLUSTER,
    DATABASES,
    EMULATORS,
    SEARCH,
    SECRETS,
    WORKFLOWS,
    Archive,
    Facts,
    ScratchCopy,
    State,
)
from dbops.sandbox.layout import Layout
from dbops.servers import emulator, postgres, redis, scratch, sockets, stanza
from dbops.stores import postgres as store

_OWNERS = "SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin AND rolbypassrls AND rolname = ANY(%s)"
_DATABASES = """
    SELECT d.datname, r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
     WHERE d.datname = ANY(%s)"""


def observe(layout: Layout, run: Run) -> Facts:
    if not layout.marker.exists():
        return Facts(str(layout.root))
    cluster = cluster_state(layout)
    owners, databases = _inside(layout, run) if cluster is State.RUNNING else (None, None)
    return Facts(
        home=str(layout.root),
        exists=True,
        secrets=frozenset(name for name in SECRETS if layout.secret_file(name).exists()),
        cluster=cluster,
        owners=frozenset() if cluster is State.ABSENT else owners,
        databases=frozenset() if cluster is State.ABSENT else databases,
        archive=_archive(layout),
        cache=cache_state(layout),
        workflows=emulator_state(layout, WORKFLOWS),
        search=emulator_state(layout, SEARCH),
        vault=layout.vault.is_dir(),
        configured=is_configured(layout),
    )


def processes(layout: Layout) -> Facts:
    """Look at processes and files only: what ends a sandbox must not depend on its servers' health."""
    exists, home = layout.marker.exists(), str(layout.root)
    return Facts(
        home,
        exists=exists,
        cluster=cluster_state(layout),
        cache=cache_state(layout),
        workflows=emulator_state(layout, WORKFLOWS),
        search=emulator_state(layout, SEARCH),
        copies=copies(layout),
    )


def copies(layout: Layout) -> tuple[ScratchCopy, ...]:
    """Look at the scratch copies that this sandbox knows of, wherever they lie: only those with our mark."""
    return tuple(
        ScratchCopy(one.name, one.folder, at_work=_at_work(scratch.at(one.home)), elsewhere=not _within(one, layout))
        for one in places.recorded(layout.state)
        if places.is_ours(one)
    )


def _at_work(server: postgres.Server) -> bool:
    return postgres.pid(server) is not None or postgres.left_over(server)


def _within(one: places.Scratch, layout: Layout) -> bool:
    return one.home.resolve().is_relative_to(layout.root)


def cluster_state(layout: Layout) -> State:
    server = layout.server
    if not postgres.exists(server):
        return State.ABSENT
    if postgres.pid(server) is not None:
        return State.RUNNING if postgres.is_ready(server) else State.STARTING
    return State.KILLED if postgres.left_over(server) else State.STOPPED


def cache_state(layout: Layout) -> State:
    if not layout.cache.config.exists():
        return State.ABSENT
    if redis.pid(layout.cache) is not None:
        return State.RUNNING if redis.is_ready(layout.cache) else State.STARTING
    return State.KILLED if redis.left_over(layout.cache) else State.STOPPED


def emulator_state(layout: Layout, target: str) -> State:
    server = layout.emulator(target)
    if not server.config.exists():
        return State.ABSENT
    if emulator.pid(server) is None:
        return State.STOPPED
    return State.RUNNING if emulator.is_ready(server) else State.STARTING


def _inside(layout: Layout, run: Run) -> tuple[frozenset[str], frozenset[str]]:
    """Name the targets whose owner has the recorded password, and those whose database has that owner."""
    owners = {f"{target}_owner": target for target in DATABASES}
    with store.connect(layout.cluster, run, target=CLUSTER) as conn:
        roles: dict[str, str | None] = dict(conn.execute(_OWNERS, (list(owners),)).fetchall())
        owned: dict[str, str] = dict(conn.execute(_DATABASES, (list(DATABASES.values()),)).fetchall())
    right = {
        target
        for owner, target in owners.items()
        if (stored := roles.get(owner)) is not None
        and layout.secret_file(owner).exists()
        and scram.matches(stored, layout.secret(owner), role=owner)
    }
    return frozenset(right), frozenset(t for t, name in DATABASES.items() if owned.get(name) == f"{t}_owner")


def _archive(layout: Layout) -> Archive:
    known = stanza.known(layout.stanza, target=CLUSTER)
    if known is None:
        return Archive.ABSENT
    return Archive.ARCHIVING if any(each.last for each in known.archives) else Archive.CREATED


def is_configured(layout: Layout) -> bool:
    """Tell whether dbops.toml is there and leads here: a folder that was moved needs a new one."""
    try:
        text = layout.config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    servers = ((layout.server.home, layout.server.socket_name), (layout.cache.home, redis.SOCKET))
    places = [sockets.folder(*each) for each in servers]
    urls = [emulator.url(layout.emulator(target)) for target in EMULATORS]
    return all(place is not None and str(place) in text for place in places) and all(url in text for url in urls)
