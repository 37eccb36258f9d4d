"""The vault in Azure Blob or S3, by obstore: parts are uploaded as they come, and only the last call shows them."""

import itertools
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

import obstore
from obstore import exceptions
from obstore.store import AzureStore, S3Store

from dbops.engine import stop
from dbops.errors import AuthenticationFailed, DbopsError, Refused, Unreachable
from dbops.redact import redact
from dbops.stores.vault import Absent, AlreadyThere, Entry
from dbops.stores.vault.lane import Lane, pushed

if TYPE_CHECKING:
    from obstore import Bytes, ObjectMeta

_PART = 8 << 20
_AT_ONCE = 3  # parts under way: they are what memory is used for
_MOST_PARTS = 10_000  # S3's limit
_LISTED_AT_ONCE = 1000
_ATTEMPTS = 4
_BROKEN = "body error"
_PROBE = "probe.dbops"


class Objects:
    """Objects in a container or bucket, below the store's prefix."""

    keeps_classes = True

    def __init__(self, store: AzureStore | S3Store, url: str, target: str) -> None:
        self._store, self.url, self.target = store, url, target

    def put_new(self, name: str, data: bytes) -> None:
        with self._told(name):
            try:
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                # Ours, when the answer to the first attempt was lost and obstore has asked again.
                if self.get(name) != data:
                    raise AlreadyThere(f"{name} is in the vault already", target=self.target) from None

    @contextmanager
    def writing(self, name: str, *, storage_class: str | None = None) -> Generator["_Upload"]:
        attributes = {} if storage_class is None else {"Storage-Class": storage_class}
        upload = _Upload(lambda blocks: self._put_all(name, attributes, blocks), lambda: self._told(name), self.target)
        try:
            yield upload
            upload.close()
        except BaseException:
            upload.abandon()
            raise

    def _put_all(self, name: str, attributes: dict[str, str], blocks: Iterator[bytes]) -> None:
        first: list[bytes] = []
        held = 0
        for block in blocks:
            first.append(block)
            held += len(block)
            if held > _PART:
                break
        else:
            obstore.put(self._store, name, b"".join(first), attributes=attributes, use_multipart=False)
            return
        # An iterator that raises lets obstore abort the upload; its writer objects cannot be aborted.
        obstore.put(
            self._store,
            name,
            itertools.chain(first, blocks),
            attributes=attributes,
            use_multipart=True,
            chunk_size=_PART,
            max_concurrency=_AT_ONCE,
        )

    def get(self, name: str) -> bytes:
        return self._fetched(name, lambda: obstore.get(self._store, name).bytes())

    def _fetched(self, name: str, fetch: "Callable[[], Bytes]") -> bytes:
        """Ask again when the connection breaks within an answer: obstore only does so before one begins."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._told(name):
                    return bytes(fetch())
            except Unreachable as error:
                if attempt + 1 == _ATTEMPTS or _BROKEN not in error.message:
                    raise
            stop.pause(0.1 * 2**attempt)
        raise AssertionError

    def read(self, name: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        found = self.head(name)
        if found is None:
            raise Absent(f"{name} is not in the vault", target=self.target)
        end = found.size if length is None else min(found.size, start + length)

        def fetch(put: Callable[[bytes], None]) -> None:
            # By ranges: a timeout then means one of them, and a cut connection repeats one of them.
            for at in range(start, end, _PART):
                until = min(at + _PART, end)
                put(self._fetched(name, lambda at=at, until=until: self._range(name, at, until)))

        yield from pushed(fetch, depth=2) if end - start > _PART else _collected(fetch)

    def _range(self, name: str, start: int, end: int) -> "Bytes":
        return obstore.get_range(self._store, name, start=start, end=end)

    def listing(self, prefix: str = "") -> Iterator[Entry]:
        with self._told(prefix):
            for several in self._listed(prefix or None, _LISTED_AT_ONCE):
                for one in several:
                    yield Entry(one["path"], one["size"], one["last_modified"])

    def _listed(self, prefix: str | None, at_once: int) -> "Iterator[Sequence[ObjectMeta]]":
        return obstore.list(self._store, prefix, chunk_size=at_once)  # pyright: ignore[reportUnknownMemberType]

    def head(self, name: str) -> Entry | None:
        with self._told(name):
            try:
                found = obstore.head(self._store, name)
            except FileNotFoundError:
                return None
            return Entry(found["path"], found["size"], found["last_modified"])

    def delete(self, name: str) -> None:
        with self._told(name):
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                return

    def sweep(self, prefix: str, *, ending: str = "") -> int:
        """Parts of a killed upload are invisible and end by the service's own lifecycle rules."""
        _ = prefix, ending
        return 0

    def probe(self, *, writable: bool = False) -> None:
        with self._told(""):
            # A listing, because a missing bucket looks like a missing object to every other question.
            next(self._listed(None, 1), None)
            if writable:
                with suppress(exceptions.AlreadyExistsError):
                    obstore.put(self._store, _PROBE, b"dbops", mode="create", use_multipart=False)
                with suppress(exceptions.BaseError, FileNotFoundError):  # who may not delete can still write
                    obstore.delete(self._store, _PROBE)

    @contextmanager
    def _told(self, name: str) -> Generator[None]:
        try:
            yield
        except (exceptions.BaseError, FileNotFoundError, PermissionError, TimeoutError) as error:
            raise _ours(error, name or self.url, self.target) from error


class _Upload:
    """What is written goes up in a thread of its own."""

    def __init__(
        self, work: Callable[[Iterator[bytes]], None], told: Callable[[], AbstractContextManager[None]], target: str
    ) -> None:
        self._lane, self._told, self._target, self._written = Lane(work, depth=2), told, target, 0

    def write(self, block: bytes) -> None:
        self._written += len(block)
        if self._written > _PART * _MOST_PARTS:
            hint = "write it in smaller files"
            raise Refused("one file of an artifact may not be larger than 80 GB", hint=hint, target=self._target)
        with self._told():
            self._lane.put(block)

    def close(self) -> None:
        with self._told():
            self._lane.close()

    def abandon(self) -> None:
        self._lane.abandon()


def _collected(fetch: Callable[[Callable[[bytes], None]], None]) -> Iterator[bytes]:
    blocks: list[bytes] = []
    fetch(blocks.append)
    return iter(blocks)


_QUERY = re.compile(r"(https?://[^\s?]+)\?\S+")  # a shared access signature may stand there
_REST = re.compile(r"(?:\n|: *<\?xml|: *<Error>).*", re.DOTALL)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]+)")
_STATUS = re.compile(r"status code: (\d{3})")
_AUTHENTICATION = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed|InvalidAuthenticationInfo|ExpiredToken|InvalidToken"
    r"|AuthorizationHeaderMalformed|CredentialUnavailable|ClientAuthentication|DefaultAzureCredential|no credentials"
    r"|NoAuthenticationInformation|failed to authenticate|instance metadata|latest/api/token|metadata/identity",
    re.IGNORECASE,
)
_NO_PLACE = re.compile(r"NoSuchBucket|ContainerNotFound|AccountNotFound|ContainerBeingDeleted")
_AWAY = re.compile(
    r"error sending request|connect|timed out|timeout|dns error|error decoding response body|ServerBusy|SlowDown"
    r"|incomplete message|connection|broken pipe|body error",
    re.IGNORECASE,
)


def _ours(error: Exception, name: str, target: str) -> DbopsError:
    whole = str(error)
    told = _readable(whole) or type(error).__name__
    status = int(found[1]) if (found := _STATUS.search(whole)) else 0
    if _NO_PLACE.search(whole):
        hint = "create the container or bucket, or check the vault's url"
        return Refused(told, hint=hint, target=target)
    match error:
        case exceptions.UnauthenticatedError():
            return _not_let_in(told, target)
        case _ if _AUTHENTICATION.search(whole):
            return _not_let_in(told, target)
        case exceptions.PermissionDeniedError() | PermissionError():
            return Refused(told, hint="these credentials may not do that: look at their role or policy", target=target)
        case FileNotFoundError():
            return Absent(f"{name} is not in the vault", target=target)
        case _ if (
            status >= 500 or status == 429 or (not status and _AWAY.search(told)) or isinstance(error, TimeoutError)
        ):
            return Unreachable(told, hint="check the vault's url and endpoint, and that it answers", target=target)
        case _:
            return DbopsError(told, target=target)


def _readable(whole: str) -> str:
    """Cut what obstore tells down to what happened, and what the service said of it."""
    told = [_QUERY.sub(r"\1", _REST.sub("", whole)).strip()]
    told += [found[1] for pattern in (_CODE, _MESSAGE) if (found := pattern.search(whole))]
    return redact(": ".join(told))


def _not_let_in(told: str, target: str) -> AuthenticationFailed:
    hint = "check key, key_id or sas of the vault, or whom the default chain signs in"
    return AuthenticationFailed(told, hint=hint, target=target)
