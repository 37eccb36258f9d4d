"""The only place that starts programs: streamed, redacted, in their own group, ended with us.

A secret reaches a program through its environment or a file, never through argv, which everybody can
read. The environment is short on purpose: a server must not inherit the secrets of its starter, and
PGHOST or PGPASSWORD of somebody's shell must not decide whom we talk to.
"""

import contextlib
import getpass
import os
import pwd
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dbops.errors import DbopsError, DependencyMissing, Refused, Stopped
from dbops.redact import redact

LAST_LINES = 20
GRACE_S = 5.0  # between SIGTERM and SIGKILL, and for pipes that a grandchild keeps open
_KEPT_LINES = 2000
_LONGEST = 8 * 1024  # a longer line is cut; `shown` is shorter, so that no half secret stands at the cut
_SHOWN = 4096
_USUAL_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TERM", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP"),
)


class ProgramFailed(DbopsError):  # as its siblings in errors.py
    """A program ended badly; `last` holds its last lines, redacted."""

    def __init__(self, name: str, returncode: int, last: Sequence[str], *, hint: str | None = None) -> None:
        ended = f"exited with {returncode}" if returncode >= 0 else f"was ended by {_signal_name(-returncode)}"
        super().__init__("\n".join([f"{name} {ended}" + (":" if last else ""), *last]), hint=hint)
        self.name, self.returncode, self.last = name, returncode, tuple(last)


class ProgramTimedOut(ProgramFailed):
    """A program was killed because it took longer than it may."""

    def __init__(self, name: str, allowed_s: float, last: Sequence[str]) -> None:
        super().__init__(name, -signal.SIGKILL, last)
        self.message = "\n".join([f"{name} did not finish within {allowed_s:g} s", *last])
        self.args = (self.message,)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left: stdout as it was, stderr as redacted lines."""

    code: int
    out: bytes
    err: str


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def postgres_folders() -> tuple[Path, ...]:
    """Name where Debian and PGDG keep the server's programs, newest first: they are not in PATH."""
    return tuple(Path(f"/usr/lib/postgresql/{version}/bin") for version in range(18, 13, -1))


def find(name: str, *folders: Path, hint: str | None = None) -> Path:
    """Find a program in `folders`, then in PATH, then where cron's short PATH does not look."""
    from_path = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    for folder in (*folders, *from_path, *map(Path, _USUAL_FOLDERS), *postgres_folders()):
        found = folder / name
        if os.access(found, os.X_OK) and found.is_file():  # in this order: root's PATH leads into closed folders
            return found
    raise DependencyMissing(
        f"the program {name} was not found", hint=hint or f"install {name}, or add its folder to PATH"
    )


def current_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return getpass.getuser() if os.environ.get("USER") else str(os.geteuid())


def account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise DependencyMissing(
            f"the account {user} does not exist", hint=f"create it: useradd --system {user}"
        ) from None


def environment(extra: Mapping[str, str] | None = None, user: str | None = None) -> dict[str, str]:
    """Build a program's environment: a short list of ours, plain language and UTC, then `extra`."""
    env = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    env.setdefault("PATH", os.pathsep.join(_USUAL_FOLDERS))
    if user is not None:
        who = account(user)
        env |= {"HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name}
    return env | {"LC_ALL": "C", "TZ": "UTC"} | dict(extra or {})


# ── Who is alive, for whoever has to end it ──────────────────────────────────────────────────────

_live: dict[int, str] = {}  # process groups of `run`, by the pid of their leader
_attended: list[subprocess.Popen[bytes]] = []  # programs that have our terminal
_detached: list[subprocess.Popen[bytes]] = []  # kept, so that their end can be reaped
_told = 0  # the signal that was passed on, if any


def signal_groups(number: int) -> None:
    """Pass a signal on to every program that runs; safe inside a signal handler."""
    global _told  # noqa: PLW0603  # a process has one fate
    _told = number
    for child in _attended:
        # At a terminal the child is in our group: the terminal has told it of Ctrl-C already.
        if number != signal.SIGINT or not os.isatty(0):
            child.send_signal(number)
    for group in list(_live):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def reap() -> None:
    """Collect detached servers that have ended, so that they do not stay as zombies."""
    _detached[:] = [child for child in _detached if child.poll() is None]


# ── Running ──────────────────────────────────────────────────────────────────────────────────────


def _spawn(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    user: str | None,
    stdin: int,
    stdout: int,
    stderr: int,
) -> subprocess.Popen[bytes]:
    switch = user if user is not None and user != current_user() else None
    if switch is not None and os.geteuid() != 0:
        raise Refused(
            f"{Path(argv[0]).name} has to run as {switch}, and this is {current_user()}",
            hint=f"run dbops as {switch} or as root",
        )
    who = account(switch) if switch else None
    folder = cwd or (Path("/") if who else None)  # ours may be closed to the account
    try:
        return subprocess.Popen(
            [os.fspath(part) for part in argv],
            env=environment(env, switch),
            cwd=folder,
            user=who.pw_uid if who else None,
            group=who.pw_gid if who else None,
            extra_groups=os.getgrouplist(who.pw_name, who.pw_gid) if who else None,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            umask=0o077,
        )
    except (FileNotFoundError, PermissionError) as error:
        if folder is not None and not os.access(folder, os.X_OK):
            raise DbopsError(f"{Path(argv[0]).name} cannot start in {folder}: {error.strerror}") from None
        raise DependencyMissing(f"{os.fspath(argv[0])} cannot be started: {error.strerror}") from None


def _dying_with_us(argv: Sequence[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
    """Let the kernel end a program when we are killed with -9: nobody else would, and it may hold locks.

    setpriv asks for that between fork and exec, where no Python of a threaded program should run.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise DependencyMissing(f"{os.fspath(argv[0])} cannot be started: there is no such program")
    setpriv = shutil.which("setpriv", path=os.pathsep.join(_USUAL_FOLDERS))
    return [*((setpriv, "--pdeathsig", "TERM", "--") if setpriv else ()), program, *argv[1:]]


class _Lines:
    """Cut a stream into redacted lines, however long they are."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._rest = tell, b""

    def feed(self, chunk: bytes) -> None:
        *whole, rest = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            self._emit(line)
        self._rest = rest[:_LONGEST]

    def close(self) -> None:
        if self._rest:
            self._emit(self._rest)
        self._rest = b""

    def _emit(self, line: bytes) -> None:
        text = redact(line[:_LONGEST].decode("utf-8", "replace"))
        self._tell(text if len(text) <= _SHOWN else text[:_SHOWN] + " …")


class _Conversation:
    """Both pipes and stdin of one program, in one loop: read in turn they would deadlock."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        given: bytes | None,
        on_line: Callable[[str], None] | None,
        on_block: Callable[[bytes], None] | None = None,
    ) -> None:
        self.child, self.out = child, bytearray()
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.err: deque[str] = deque(maxlen=_KEPT_LINES)
        self._on_line, self._on_block = on_line, on_block
        self._given = memoryview(given or b"")
        self._selector = selectors.DefaultSelector()
        self._lines = {1: _Lines(self._said), 2: _Lines(self._complained)}
        assert child.stdout is not None  # noqa: S101  # both are pipes
        assert child.stderr is not None  # noqa: S101
        self._selector.register(child.stdout, selectors.EVENT_READ, 1)
        self._selector.register(child.stderr, selectors.EVENT_READ, 2)
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            self._selector.register(child.stdin, selectors.EVENT_WRITE, 0)

    def _said(self, line: str) -> None:
        self.last.append(line)
        if self._on_line is not None:
            self._on_line(line)

    def _complained(self, line: str) -> None:
        self.err.append(line)
        self._said(line)

    def hold(self, deadline: float) -> bool:
        """Talk until the program and its pipes are done; False when the deadline came first."""
        ended_at: float | None = None
        while self._selector.get_map():
            moment = time.monotonic()
            if moment >= deadline:
                return False
            if self.child.poll() is not None:
                ended_at = ended_at or moment
                if moment - ended_at > GRACE_S:  # a grandchild keeps the pipes; the program itself is done
                    break
            for key, _ in self._selector.select(min(0.1, deadline - moment)):
                self._turn(key)
        for lines in self._lines.values():
            lines.close()
        try:
            self.child.wait(None if deadline == float("inf") else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _turn(self, key: selectors.SelectorKey) -> None:
        pipe: IO[bytes] = key.fileobj  # pyright: ignore[reportAssignmentType]
        if key.data == 0:
            try:
                self._given = self._given[os.write(key.fd, self._given[:65536]) :]
            except BrokenPipeError:
                self._given = self._given[:0]
            chunk = bytes(self._given[:1])
        else:
            chunk = os.read(key.fd, 65536)
            if key.data == 1 and self._on_block is not None:
                if chunk:
                    self._on_block(chunk)
            else:
                self._lines[key.data].feed(chunk)
                if key.data == 1:
                    self.out += chunk
        if not chunk:
            self._selector.unregister(pipe)
            pipe.close()

    def close(self) -> None:
        self._selector.close()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: asked first, then killed."""
    for number, grace in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
            break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)  # its children do not outlive it


@contextlib.contextmanager
def _living(child: subprocess.Popen[bytes], name: str) -> Generator[None]:
    _live[child.pid] = name
    try:
        yield
    except BaseException:
        _end_group(child)
        raise
    finally:
        _live.pop(child.pid, None)


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    input: bytes | None = None,  # noqa: A002  # as subprocess calls it
    on_line: Callable[[str], None] | None = None,
    on_block: Callable[[bytes], None] | None = None,
    timeout: float | None = None,
    ok: Collection[int] = (0,),
) -> Finished:
    """Run a program to its end; `on_line` hears each redacted line of both streams.

    With `on_block` stdout is data: it is handed on as it comes, and neither kept nor told.

    As root, `user` names the account to run as. Whatever interrupts us ends the program's whole group.
    """
    name = Path(argv[0]).name
    pipe, stdin = subprocess.PIPE, subprocess.DEVNULL if input is None else subprocess.PIPE
    before = _told
    child = _spawn(_dying_with_us(argv), env=env, cwd=cwd, user=user, stdin=stdin, stdout=pipe, stderr=pipe)
    talk = _Conversation(child, input, on_line, on_block)
    try:
        with _living(child, name):
            if _told != before:  # a signal came while it was being started, and did not reach it
                signal_groups(_told)
            if not talk.hold(float("inf") if timeout is None else time.monotonic() + timeout):
                raise ProgramTimedOut(name, timeout or 0.0, tuple(talk.last))
    finally:
        talk.close()
    if child.returncode not in ok:
        if _told:
            raise Stopped(_told, f"{name} was stopped on request")
        raise ProgramFailed(name, child.returncode, tuple(talk.last))
    return Finished(child.returncode, bytes(talk.out), "\n".join(talk.err))


def attend(argv: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Run a program with our own stdin, stdout, stderr and terminal; return its exit code, as a shell tells it."""
    try:
        child = subprocess.Popen(list(argv), env=dict(env))
    except OSError as error:
        raise DependencyMissing(f"{argv[0]} cannot be started: {error.strerror}") from None
    _attended.append(child)
    try:
        code = child.wait()
    finally:
        _attended.remove(child)
        if child.poll() is None:
            child.kill()
            child.wait()
    return code if code >= 0 else 128 - code


def start(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that no terminal ends it; its output is added to `log`."""
    reap()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if user is not None and os.geteuid() == 0:
            who = account(user)
            os.fchown(output, who.pw_uid, who.pw_gid)
        child = _spawn(argv, env=env, cwd=cwd, user=user, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    finally:
        os.close(output)
    _detached.append(child)
    return child


# ── A program that answers each line with a line ─────────────────────────────────────────────────


@contextlib.contextmanager
def conversation(argv: Sequence[str | os.PathLike[str]]) -> Generator[Callable[..., bytes]]:
    """Run a program of ours, with our whole environment, and yield `ask(line, meanwhile)`.

    `meanwhile` is called ten times a second until the answer is there. The program ends with the block.
    """
    name = Path(argv[0]).name
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(
            [os.fspath(part) for part in _dying_with_us(argv)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
        assert child.stdin is not None  # noqa: S101
        assert child.stdout is not None  # noqa: S101
        given, told = child.stdin, child.stdout

        def ended() -> DbopsError:
            code = child.wait()
            if _told:
                return Stopped(_told, f"{name} was stopped on request")
            complaints.seek(0)
            lines = complaints.read().decode("utf-8", "replace").splitlines()
            return ProgramFailed(name, code, [redact(line) for line in lines[-LAST_LINES:]])

        def ask(line: bytes, meanwhile: Callable[[], None] = lambda: None) -> bytes:
            try:
                given.write(line + b"\n")
                given.flush()
            except BrokenPipeError:
                raise ended() from None
            with selectors.DefaultSelector() as selector:
                selector.register(told, selectors.EVENT_READ)
                while not selector.select(0.1):
                    meanwhile()
            answer = told.readline()
            if not answer.endswith(b"\n"):
                raise ended()
            return answer

        try:
            with _living(child, name), given, told:
                yield ask
                given.close()  # it has no more to do
                child.wait(GRACE_S)
        finally:
            if child.poll() is None:
                _end_group(child)
