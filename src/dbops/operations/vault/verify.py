"""Verify chosen artifacts one after the other: journaled, and the result is kept beside each of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dbops.config.load import resolve
from dbops.config.model import Config
from dbops.copies import artifact, catalogue
from dbops.engine import clock, journal, stop
from dbops.engine.finding import Finding, Severity, Verdict, verdict
from dbops.engine.journal import Journal
from dbops.engine.run import Progress, Run
from dbops.errors import ConfigInvalid, CouldNotVerify, DbopsError, Stopped, Unreachable
from dbops.operations.vault.facts import Held, Seen, Wanted
from dbops.operations.vault.ready import connected, looked_at, vault_of
from dbops.stores.vault import Store

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What verifying one artifact has found."""

    name: str
    verdict: Verdict
    files: int
    read_bytes: int
    kept: str | None  # where the result lies
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Closely:
    """How closely to look, at which slice."""

    depth: artifact.Depth
    subset: tuple[int, int]
    identity: str | None


def closely(config: Config, depth: artifact.Depth, subset: tuple[int, int]) -> Closely:
    """Find the identity, but only when content is to be read."""
    identity = vault_of(config).identity
    needed = depth == "content" and identity is not None
    return Closely(depth, subset, resolve(identity, target="vault") if needed and identity is not None else None)


def to_choose_from(config: Config, place: str | None, wanted: Wanted, *, now: datetime) -> Held:
    """See what there is to verify: not to be able to look is not a pass, and not a failure of an artifact."""
    try:
        return looked_at(config, place, wanted, now=now, results=False)
    except (ConfigInvalid, Stopped, CouldNotVerify):
        raise
    except DbopsError as error:
        raise CouldNotVerify(f"could not verify: {error.message}", hint=error.hint, target=error.target) from error


def verified(
    config: Config, held: Held, chosen: Sequence[Seen], run: Run, *, how: Closely, on_progress: OnProgress
) -> tuple[Outcome, ...]:
    """Verify one after the other; when the place has gone, the rest is told as not verified."""
    store = connected(config, held.place)
    facts = {"command": run.command, "actor": run.actor, "host": run.holder["host"], "pid": run.holder["pid"]}
    facts["environment"] = config.platform.environment
    with journal.opened(run.state_dir, run.id, held.place, **facts) as log:
        nth, of = how.subset
        log.write("verify", depth=how.depth, subset=f"{nth}/{of}", artifacts=[one.name for one in chosen])
        meter = _Meter(held.place, chosen, of, on_progress)
        outcomes = tuple(_each(chosen, log, meter, lambda one: _one(store, one, run, how, on_bytes=meter)))
        log.write("verdict", verdict=verdict(f for one in outcomes for f in one.findings).value)
    return outcomes


class _Meter:
    """Counts the bytes of all artifacts, and tells each per cent once."""

    def __init__(self, place: str, chosen: Sequence[Seen], of: int, on_progress: OnProgress) -> None:
        self._place, self._on_progress = place, on_progress
        self._total = max(1, sum(one.size for one in chosen) // of)
        self._read, self._told = 0, -1
        self.at = ""

    def __call__(self, length: int) -> None:
        self._read += length
        cent = min(99, self._read * 100 // self._total)
        if cent != self._told:
            self._told = cent
            self._on_progress(Progress(self._place, f"% {self.at}", cent, 100))


def _each(chosen: Sequence[Seen], log: Journal, meter: _Meter, look: Callable[[Seen], Outcome]) -> Iterator[Outcome]:
    gone: Finding | None = None
    for one in chosen:
        stop.check()
        if gone is not None:
            told = f"{one.name} was not looked at: {gone.message}"
            yield _unknown(one, Finding(Severity.UNKNOWN, "DBV111", gone.target, told, gone.hint))
            continue
        meter.at = one.name
        log.write("start", step=one.name)
        outcome = look(one)
        gone = next((f for f in outcome.findings if f.code in {"unreachable", "not_let_in"}), None)
        log.write("done", step=one.name, verdict=outcome.verdict.value, read_bytes=outcome.read_bytes)
        yield outcome


def _unknown(one: Seen, finding: Finding) -> Outcome:
    return Outcome(one.name, Verdict.COULD_NOT_VERIFY, 0, 0, None, (finding,))


def _one(store: Store, one: Seen, run: Run, how: Closely, *, on_bytes: Callable[[int], None]) -> Outcome:
    try:
        found = catalogue.find(store, f"{one.name}/")
        match found:
            case None:
                told = f"{one.name} was removed a moment ago"
                return _unknown(one, Finding(Severity.UNKNOWN, "DBV110", store.target, told))
            case artifact.Construction():
                told = f"{one.name} has no manifest: it is under construction, and there is nothing to compare with"
                return _unknown(one, Finding(Severity.UNKNOWN, "DBV110", store.target, told))
            case artifact.Broken(finding=finding):
                return Outcome(one.name, verdict((finding,)), 0, 0, None, (replace(finding, target=store.target),))
            case artifact.Artifact():
                return _kept(store, one, run, artifact.verify(
                    store, found, depth=how.depth, subset=how.subset, identity=how.identity, on_bytes=on_bytes
                ))  # fmt: skip
    except (Stopped, ConfigInvalid):
        raise
    except DbopsError as error:
        code = "unreachable" if isinstance(error, Unreachable) else "DBV110"
        told = f"{one.name} could not be verified: {error.message}"
        return _unknown(one, Finding(Severity.UNKNOWN, code, store.target, told, error.hint))


def _kept(store: Store, one: Seen, run: Run, done: artifact.Verified) -> Outcome:
    """Write the result beside the artifact; a place that takes no writing does not change what was found."""
    kept: str | None = None
    # the message names store and target; which of the places it is about, only we know
    findings = tuple(replace(finding, target=store.target) for finding in done.findings)
    try:
        kept = artifact.keep(store, done, run=run.id, at=clock.now())
    except Stopped:
        raise
    except DbopsError as error:
        told = f"the result for {one.name} could not be kept beside it: {error.message}"
        findings = (*findings, Finding(Severity.WARNING, "DBV112", store.target, told, error.hint))
    return Outcome(one.name, done.verdict, done.files, done.read_bytes, kept, findings)
