"""The vault and its copies, ready to be listed, verified and copied."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops.config.model import Config, Place, Vault
from dbops.copies import artifact, catalogue
from dbops.copies.manifest import Manifest
from dbops.engine import locks, stop
from dbops.engine.finding import Finding, failure
from dbops.engine.plan import Ready
from dbops.engine.run import Ended, Run, each
from dbops.errors import ConfigInvalid, DbopsError, Stopped, UsageError, VerifiedBad
from dbops.operations.vault import check, plan
from dbops.operations.vault.apply import SUBJECT, Doing, apply
from dbops.operations.vault.facts import VAULT, Action, Checked, Held, Seen, Wanted
from dbops.operations.vault.observe import judged, observe, verifications
from dbops.stores import vault as stores
from dbops.stores.vault import Absent, Store

_COPIES_AT_ONCE = 8
EVERYTHING = Wanted()


def vault_of(config: Config) -> Vault:
    if config.vault is None:
        raise ConfigInvalid("the configuration names no vault", hint='add [vault] url = "file:///folder"')
    if VAULT in config.vault.copies:
        raise ConfigInvalid(f"vault.copies.{VAULT}: a copy needs another name than the vault itself")
    return config.vault


def copies_of(config: Config, names: Sequence[str]) -> list[str]:
    """List the second copies; of `names` only, when there are any."""
    known = list(vault_of(config).copies)
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is no second copy of the vault", hint=f"one of: {', '.join(known) or 'none'}")
    if not known:
        raise ConfigInvalid("the vault has no second copy", hint='add [vault.copies.offsite] url = "..."')
    return list(dict.fromkeys(names)) or known


def place_of(config: Config, name: str | None) -> tuple[str, Place]:
    """Find the vault, or one of its copies."""
    vault = vault_of(config)
    if name is None or name == VAULT:
        return VAULT, vault
    [name] = copies_of(config, (name,))
    return name, vault.copies[name]


def looked_at(
    config: Config, name: str | None, wanted: Wanted = EVERYTHING, *, now: datetime, results: bool = True
) -> Held:
    """See what one place holds."""
    name, _ = place_of(config, name)
    max_age = vault_of(config).copies[name].max_age if name != VAULT else None
    with _told_of(name):
        return observe(connected(config, name), name, wanted, now, max_age=max_age, results=results)


@contextmanager
def _told_of(name: str) -> Generator[None]:
    try:
        yield
    except DbopsError as error:
        error.target = error.target or name
        raise


def looked(config: Config, wanted: Wanted, name: str | None, *, now: datetime) -> tuple[Held, list[Held]]:
    """See the vault and all its copies at once, or one place alone. A copy that does not answer is told beside."""
    if name is not None and name != VAULT:
        return looked_at(config, name, wanted, now=now), []

    def look(one: str | None) -> Held:
        if one is not None:
            _refuse_one_in_the_other(config, one)
        return looked_at(config, one, wanted, now=now, results=one is None)

    names: list[str | None] = [None, *vault_of(config).copies]
    main, *copies = (_held(one) for one in each(names, look, jobs=_COPIES_AT_ONCE, stop_on_failure=False))
    return main, copies


def _held(ended: Ended[str | None, Held]) -> Held:
    """Let a copy that could not be looked at be told beside the vault; without the vault there is nothing to tell."""
    match ended.error:
        case DbopsError() as error if ended.item is not None and not isinstance(error, Stopped):
            return Held(ended.item, failed=failure(error, ended.item))
        case BaseException() as error:
            raise error
        case None:
            if ended.result is None:  # a signal came first
                raise stop.stopped()
            return ended.result


@dataclass(frozen=True, slots=True)
class Shown:
    """One artifact with all that is known of it."""

    place: str
    artifact: Seen
    manifest: Manifest | None
    verified: tuple[Checked, ...]  # newest first
    findings: tuple[Finding, ...]


def shown(config: Config, name: str, place: str | None, *, now: datetime) -> Shown:
    """Read one artifact's manifest and the results of its verifications."""
    held = looked_at(config, place, now=now, results=False)
    one = plan.the_one(held, held.seen, name)
    store = connected(config, held.place)
    found = catalogue.find(store, f"{one.name}/")
    if found is None:
        raise Absent(f"{one.name} was removed a moment ago", target=held.place)
    whole = isinstance(found, artifact.Artifact)
    results = tuple(verifications(store, found)) if whole else ()
    seen = judged(found, now, check.standing(results))
    findings = tuple(check.check_place(Held(held.place, (seen,)), now))
    return Shown(held.place, seen, found.manifest if whole else None, results, findings)


def connected(config: Config, name: str | None) -> Store:
    name, place = place_of(config, name)
    return stores.connect(place, target=name)


def _refuse_one_in_the_other(config: Config, name: str) -> None:
    """A copy within the vault is no second copy, and would be copied into itself again and again."""
    vault, copy = vault_of(config), vault_of(config).copies[name]
    urls = [_where(connected(config, one)) for one in (None, name)]
    if vault.endpoint == copy.endpoint and (urls[0].startswith(urls[1]) or urls[1].startswith(urls[0])):
        raise ConfigInvalid(
            f"vault.copies.{name}: {urls[1]} and the vault {urls[0]} lie one in the other",
            hint="let the copy lie in another folder, container or bucket",
            target=name,
        )


def _where(store: Store) -> str:
    scheme, _, path = store.url.partition("://")
    return f"{scheme}://{Path(path).resolve() if scheme == 'file' else path.rstrip('/')}/"


@contextmanager
def ready_copy(config: Config, name: str, run: Run, now: datetime) -> Generator[Ready[Action]]:
    """Compare a second copy with the vault. Lock subject: vault.

    The lock is of this host. Two hosts that copy at once harm nothing: each file is compared with the manifest
    before it is seen, manifests are written once, and both write the same.
    """
    if run.plan_only:
        yield _ready(config, name, now)
        return
    with locks.on_this_host(run, name, SUBJECT):
        yield _ready(config, name, now)


def _ready(config: Config, name: str, now: datetime) -> Ready[Action]:
    _refuse_one_in_the_other(config, name)
    vault = looked_at(config, None, now=now, results=False)
    copy = looked_at(config, name, now=now, results=False)
    doing = Doing(connected(config, None), connected(config, name))
    # One corrupt or expired artifact must not keep the others from their copy.
    return Ready(
        plan.plan_copy(vault, copy),
        partial(apply, doing),
        findings=tuple(check.not_copied(vault, copy)),
        goes_on_after=(VerifiedBad, Absent),
    )
