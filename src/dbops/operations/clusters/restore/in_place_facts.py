"""A cluster that is brought back in its own place, and what was noted of it before it was stopped; pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from dbops.operations.clusters.restore.facts import Aim

Stage = Literal["noted", "restored", "promoted", "backed up"]


@dataclass(frozen=True, slots=True)
class Moved:
    """A folder of the cluster, and where it is kept while another one takes its place."""

    path: str
    aside: str
    what: str  # data, wal, tablespace
    link: str  # within the data directory; empty for the data directory itself


@dataclass(frozen=True, slots=True)
class Standby:
    """Who followed the cluster, and cannot after it has gone back in time."""

    name: str
    address: str
    state: str


@dataclass(frozen=True, slots=True)
class Slot:
    name: str
    kind: str  # physical, logical


@dataclass(frozen=True, slots=True)
class Identity:
    """A folder, whatever it is called."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Note:
    """What could not be observed any more once the server is stopped and its folders are elsewhere.

    It is written before the first change, and completed as the work goes on.
    """

    run: str
    target: str
    since: str  # an instant
    wanted: str  # as the operator asked for it
    aim: Aim
    size: int
    segments: int
    delta: bool
    data: str
    wal_kept: str  # where the copy of pg_wal goes, with delta
    moved: tuple[Moved, ...]
    argv: tuple[str, ...]  # how its server is started
    log: str  # where that says what it has to say
    timeline: int
    standbys: tuple[Standby, ...] = ()
    slots: tuple[Slot, ...] = ()
    stage: Stage = "noted"
    made: tuple[Identity, ...] = ()  # the empty folders that we restore into


@dataclass(frozen=True, slots=True)
class Space:
    """A file system that gets restored files."""

    path: str
    free: int
    needed: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Where it stands."""

    note: Note
    noted: bool
    running: int | None  # the pid of the server that works in the data directory
    unit: str | None  # the unit of systemd that it belongs to
    ready: tuple[str, ...]  # what waits to be archived
    aside: frozenset[str]  # paths that were moved already
    missing: frozenset[str]  # paths that are not there, neither here nor aside
    wal_is_kept: bool = False
    spaces: tuple[Space, ...] = ()
    mounted: tuple[str, ...] = ()  # cannot be renamed: something is mounted there
    closed: tuple[str, ...] = ()  # their parent cannot be written
    notes: tuple[str, ...] = ()  # of the choice


@dataclass(frozen=True, slots=True)
class WriteNote:
    """Write down what cannot be observed later."""


@dataclass(frozen=True, slots=True)
class Stop:
    pid: int


@dataclass(frozen=True, slots=True)
class Push:
    """Archive what waits in pg_wal: the last committed rows are there."""


@dataclass(frozen=True, slots=True)
class KeepWal:
    """Copy pg_wal, because --delta writes over it."""


@dataclass(frozen=True, slots=True)
class Aside:
    moved: Moved


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring the files back."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start it, wait until it takes writes, and see that its timeline is a new one."""


@dataclass(frozen=True, slots=True)
class BackUp:
    """Take a full backup: what was there before cannot be carried on."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Close the note."""


Action = WriteNote | Stop | Push | KeepWal | Aside | Restore | Start | BackUp | Finish


@dataclass(frozen=True, slots=True)
class InPlace:
    """What an in-place restore came to."""

    target: str
    label: str
    repository: int
    wanted: str
    data: str
    aside: tuple[str, ...]
    wal: str | None  # where the WAL of before is; None: there was none
    timeline: int | None  # these four: None when an earlier run has seen them, and was killed
    lsn: str | None
    last_commit: str | None
    stopped_at: str | None
    writable: timedelta  # from the first change until it took writes
    standbys: tuple[Standby, ...]
    slots: tuple[Slot, ...]
    way_back: tuple[str, ...]  # command lines; none with --delta
