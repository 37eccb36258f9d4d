"""The gates: from evidence to yes, no or unknown. Unknown opens none; an operator's word does, and stays on record.

DBM511  verified      old and new were compared, clean, under the triggers that are there now
DBM512  soak          all readers have followed for as long as the policy asks
DBM513  dependants    no view, function, policy, publication or key needs the old
DBM514  statements    no statement that uses an old name was called since the switch, on any server
DBM515  clients       no old client was seen connected through the soak, on any server
DBM516  backup        a backup is newer than the switch, and WAL is archived
DBM517  rehearsal     this very change was rehearsed
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.operations.migrate.contract.facts import (
    Backups,
    Baseline,
    Before,
    Counted,
    Facts,
    Gate,
    Passed,
    Proof,
    Statement,
)
from dbops.operations.migrate.contract.uses import Old, Use, becomes, use

_SHOWN = 3
_LONGEST = 80
_LEAST_GAP = timedelta(hours=1)  # between samples, where the soak is short
_NOTHING = "nothing goes away"


def gates(facts: Facts) -> tuple[Gate, ...]:
    """Judge all of them, in the order in which they are worth mending."""
    return tuple(judge(facts) for judge in JUDGES.values())


def verified(facts: Facts) -> Gate:
    todo = f"dbops migrate verify {facts.change} --target {facts.target}"
    proof = facts.compared
    if not facts.compares:
        return Gate("verified", Passed.YES, "the old has no counterpart to be compared with")
    if proof is None:
        return Gate("verified", Passed.UNKNOWN, "old and new were never compared in this database", None, todo)
    if proof.detail.get("triggers") != facts.triggers:
        told = "the triggers were changed since old and new were compared"
        return Gate("verified", Passed.UNKNOWN, told, proof.at, todo)
    if facts.works is not None and _works(proof) != facts.works:
        told = "the revision compares old and new in another way than they were"
        return Gate("verified", Passed.UNKNOWN, told, proof.at, todo)
    if not proof.detail.get("complete"):
        return Gate("verified", Passed.UNKNOWN, "the last comparison is incomplete", proof.at, todo)
    if not proof.detail.get("clean"):
        return Gate("verified", Passed.NO, "the last comparison found rows that differ", proof.at, todo)
    rows = sum(int(way.get("rows", 0)) for way in proof.detail.get("ways", ()))
    conflicts = f"; {units.counted(facts.conflicts, 'conflict')} of writers since" if facts.conflicts else ""
    return Gate("verified", Passed.YES, f"{rows:,} rows compared, none differs{conflicts}", proof.at)


def _works(proof: Proof) -> frozenset[str]:
    return frozenset(str(way.get("work")) for way in proof.detail.get("ways", ()))


def soak(facts: Facts) -> Gate:
    switch = f"dbops migrate switch {facts.change} --percent 100 --target {facts.target}"
    if facts.old is None:
        return Gate("soak", Passed.YES, _NOTHING)
    if facts.switched is None:
        return Gate("soak", Passed.NO, f"the change is {facts.state}: not all readers follow", None, switch)
    since = facts.now - facts.switched
    if since < facts.soak:
        left = units.duration(facts.soak - since)
        told = f"switched {units.duration(since)} ago, the soak takes {units.duration(facts.soak)}"
        return Gate("soak", Passed.NO, told, facts.switched, f"wait another {left}")
    told = f"switched {units.duration(since)} ago, {units.duration(facts.soak)} were asked for"
    return Gate("soak", Passed.YES, told, facts.switched)


def dependants(facts: Facts) -> Gate:
    if facts.old is None:
        return Gate("dependants", Passed.YES, _NOTHING)
    needing = [one for one in facts.dependants if not one.goes_along]
    certain = [one.what for one in needing if one.certain]
    if certain:
        todo = "let them use the new name, in a revision of their own"
        return Gate("dependants", Passed.NO, f"{_some(certain)} {_need(certain)} the old", None, todo)
    if needing:
        told = f"{_some([one.what for one in needing])} may use the old: the text does not tell"
        return Gate("dependants", Passed.UNKNOWN, told, None, "look at them, or write the names out")
    along = [one.what for one in facts.dependants]
    return Gate("dependants", Passed.YES, "nothing needs the old" + (f"; with it goes {_some(along)}" if along else ""))


def _need(names: Sequence[str]) -> str:
    return "needs" if len(names) == 1 else "need"


def _some(names: Sequence[str]) -> str:
    return units.some(names, _SHOWN)


# ── Statements ───────────────────────────────────────────────────────────────────────────────────


def statements(facts: Facts) -> Gate:
    if facts.old is None:
        return Gate("statements", Passed.YES, _NOTHING)
    switch = f"dbops migrate switch {facts.change} --target {facts.target}"
    again = f"take the baseline anew, and let the soak begin again: {switch}"
    if facts.baseline is None or facts.switched is None:
        return Gate("statements", Passed.UNKNOWN, "no baseline was taken at the switch", None, again)
    if facts.baseline.taken < facts.switched:
        return Gate("statements", Passed.UNKNOWN, "the baseline is older than the switch", facts.baseline.taken, again)
    told = [_counted(facts, facts.baseline, one, facts.old) for one in facts.counted]
    missing = sorted(set(facts.baseline.servers) - {one.server for one in facts.counted})
    told += [Gate("statements", Passed.UNKNOWN, f"{name} is no longer looked at") for name in missing]
    begin = max(facts.switched, facts.now - facts.soak)
    if any(one.ours for one in facts.samples if one.at >= begin):
        said = "an application signs in as the role of dbops, whose statements are left out"
        told.append(Gate("statements", Passed.UNKNOWN, said, None, "give the application a role of its own"))
    if not told:
        return Gate("statements", Passed.UNKNOWN, "no server was looked at", facts.baseline.taken, again)
    for worst in (Passed.NO, Passed.UNKNOWN):
        bad = [one for one in told if one.passed is worst]
        if bad:
            said = "; ".join(one.evidence for one in bad)
            return Gate("statements", worst, said, facts.baseline.taken, bad[0].todo or again)
    if (counting := facts.now - facts.baseline.taken) < facts.soak:
        said = f"counted for {units.duration(counting)}, the soak takes {units.duration(facts.soak)}"
        wait = f"wait another {units.duration(facts.soak - counting)}"
        return Gate("statements", Passed.NO, said, facts.baseline.taken, wait)
    servers = ", ".join(one.server for one in facts.counted)
    return Gate("statements", Passed.YES, f"no use of the old on {servers} since the switch", facts.baseline.taken)


def _counted(facts: Facts, baseline: Baseline, now: Counted, old: Old) -> Gate:
    """Judge one server."""
    before = baseline.servers.get(now.server)
    problem = now.problem or baseline.problems.get(now.server) or (_unlike(before, now) if before else "no baseline")
    if problem is not None or before is None:
        return Gate("statements", Passed.UNKNOWN, f"{now.server}: {problem}", None, now.hint)
    found: dict[Use, list[str]] = {}
    known: dict[tuple[int, int], int] = {}
    for one in now.statements:
        if one.user in facts.own_roles:
            continue
        known[one.user, one.query] = one.calls
        grown = one.calls - before.calls.get((one.user, one.query), 0)
        if grown > 0 and one.text is not None and becomes(one.text, frozenset(facts.own_roles.values())):
            told = f"{now.server}: {_shown(one, grown)}: statements of the role of dbops are left out, and so are these"
            return Gate("statements", Passed.UNKNOWN, told, None, "let applications keep to roles of their own")
        if grown < 0:
            return Gate("statements", Passed.UNKNOWN, f"{now.server}: counters were reset, one by one")
        if grown > 0:
            found.setdefault(_use(one, old), []).append(_shown(one, grown))
    if any(key not in known and key[0] not in facts.own_roles for key in before.calls):
        return Gate("statements", Passed.UNKNOWN, f"{now.server}: it has forgotten statements of the baseline")
    for use_, passed, said, todo in _JUDGED:
        if texts := found.get(use_):
            return Gate("statements", passed, f"{now.server}: {said}: {_some(texts)}", None, todo)
    return Gate("statements", Passed.YES, now.server)


_JUDGED = (
    (Use.USED, Passed.NO, "called since the switch, and uses the old", "find its caller, and let it use the new name"),
    (Use.WHOLE_ROW, Passed.UNKNOWN, "takes whole rows", "let it name its columns: what it does with the old is hidden"),
    (Use.UNCLEAR, Passed.UNKNOWN, "may use the old", "qualify the column in the statement, or look at its caller"),
)


def _use(one: Statement, old: Old) -> Use:
    return Use.UNCLEAR if one.text is None else use(one.text, old)


def _shown(one: Statement, grown: int) -> str:
    text = "a statement whose text is hidden" if one.text is None else " ".join(one.text.split())
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"{cut} ({units.counted(grown, 'call')})"


def _unlike(before: Before, now: Counted) -> str | None:
    """Tell why the counters of then and now cannot be compared."""
    if before.reset != now.reset:
        when = units.instant(now.reset) if now.reset is not None else "at an unknown time"
        return f"pg_stat_statements was reset {when}"
    if before.dealloc != now.dealloc:
        return "pg_stat_statements had no room, and has forgotten statements"
    return None


# ── Clients, backup, rehearsal ───────────────────────────────────────────────────────────────────


def clients(facts: Facts) -> Gate:
    if facts.old is None:
        return Gate("clients", Passed.YES, _NOTHING)
    if facts.patterns is None:
        todo = f"[postgres.{facts.target}] old_clients = ['shop 1.*'], or [] where their names tell nothing"
        return Gate("clients", Passed.UNKNOWN, "nobody told how old clients call themselves", None, todo)
    if not facts.patterns:
        return Gate("clients", Passed.YES, "by configuration, old clients cannot be told by their names")
    if facts.switched is None:
        return Gate("clients", Passed.UNKNOWN, "not all readers follow yet")
    during = [one for one in facts.samples if one.at >= facts.switched and set(facts.patterns) <= set(one.patterns)]
    begin = max(facts.switched, facts.now - facts.soak)
    late = [one for one in during if one.at >= begin]
    seen = [one for one in late if any(one.seen.get(pattern) for pattern in facts.patterns)]
    if seen:
        last = seen[-1]
        names = _some(sorted(name for name, count in last.seen.items() if count))
        todo = "let the soak pass after the last of them is gone"
        return Gate("clients", Passed.NO, f"old clients were connected: {names}", last.at, todo)
    for server, why in facts.samples[-1].missed.items() if facts.samples else ():
        todo = f"reach it, or correct it: [postgres.{facts.target}] replicas"
        return Gate("clients", Passed.UNKNOWN, f"who is connected to {server} is not known: {why}", None, todo)
    looks = {server: [one for one in during if server in one.servers] for server in facts.servers}
    told = [
        _sampled(facts, server, [one.at for one in some if one.at <= facts.now], begin)
        for server, some in looks.items()
    ]
    return next((gate for gate in told if gate.passed is not Passed.YES), told[0])


def _sampled(facts: Facts, server: str, moments: Sequence[datetime], begin: datetime) -> Gate:
    """Ask that somebody looked through the whole soak: nobody there at the only look proves little."""
    todo = f"let cron look: dbops migrate status --target {facts.target}"
    to = f" to {server}" if len(facts.servers) > 1 else ""
    if not moments:
        return Gate("clients", Passed.UNKNOWN, f"nobody looked who is connected{to}", None, todo)
    allowed = max(facts.soak / 4, _LEAST_GAP)
    times = [begin, *(moment for moment in moments if moment > begin), facts.now]
    gap = max(after - before for before, after in pairwise(times))
    if gap > allowed:
        told = f"for {units.duration(gap)} of the soak nobody looked who is connected{to}"
        return Gate("clients", Passed.UNKNOWN, told, moments[-1], todo)
    on = f" at {_some(facts.servers)}" if to else ""
    told = f"none of {_some(facts.patterns or ())} in {units.counted(len(moments), 'look')}{on}"
    return Gate("clients", Passed.YES, told, moments[-1])


def backup(facts: Facts) -> Gate:
    found: Backups = facts.backups
    if facts.old is None:
        return Gate("backup", Passed.YES, _NOTHING)
    if found.problem is not None:
        return Gate("backup", Passed.UNKNOWN, found.problem, None, "dbops backup audit")
    if found.newest is None or facts.switched is None or found.newest <= facts.switched:
        told = "there is no backup" if found.newest is None else "the newest backup is older than the switch"
        return Gate("backup", Passed.NO, told, found.newest, "dbops backup run")
    if found.archiving is not None:
        return Gate("backup", Passed.NO, found.archiving, None, "look at archive_command in the server's log")
    return Gate("backup", Passed.YES, "a backup was taken after the switch, and WAL is archived", found.newest)


def rehearsal(facts: Facts) -> Gate:
    todo = f"dbops migrate rehearse {facts.change} --target {facts.target}"
    proof = facts.rehearsed
    if proof is None:
        return Gate("rehearsal", Passed.UNKNOWN, "it was never rehearsed", None, todo)
    if proof.detail.get("plan") != facts.checksum:
        return Gate("rehearsal", Passed.UNKNOWN, "another plan was rehearsed: the shape was changed", proof.at, todo)
    if proof.detail.get("ok") is not True:
        return Gate("rehearsal", Passed.NO, "the rehearsal failed", proof.at, todo)
    return Gate("rehearsal", Passed.YES, f"rehearsed under plan {facts.checksum[:12]}", proof.at)


JUDGES: Mapping[str, Callable[[Facts], Gate]] = {
    "verified": verified,
    "soak": soak,
    "dependants": dependants,
    "statements": statements,
    "clients": clients,
    "backup": backup,
    "rehearsal": rehearsal,
}
_CODES = {name: f"DBM{511 + number}" for number, name in enumerate(JUDGES)}


def overridden(found: Sequence[Gate], names: Sequence[str], reason: str) -> tuple[Gate, ...]:
    """Let an operator's word open the gates that are named; one that is open by itself needs none."""
    return tuple(
        replace(gate, overridden=reason) if gate.name in names and gate.passed is not Passed.YES else gate
        for gate in found
    )


def line(gate: Gate, now: datetime) -> str:
    """Tell one gate in one line: name, outcome, evidence, age."""
    age = f", {units.duration(max(timedelta(0), now - gate.at))} old" if gate.at is not None else ""
    by = f"; overridden: {gate.overridden}" if gate.overridden is not None else ""
    return f"{gate.name}: {gate.passed}: {gate.evidence}{age}{by}"


def findings(target: str, found: Sequence[Gate], now: datetime) -> Iterator[Finding]:
    """Tell the gates that are closed, or were overridden."""
    for gate in found:
        if gate.passed is Passed.YES:
            continue
        severity = Severity.UNKNOWN if gate.passed is Passed.UNKNOWN else Severity.WARNING
        if gate.overridden is not None:
            severity = Severity.INFO  # somebody has decided: it is told, and no longer a warning
        todo = None if gate.overridden is not None else gate.todo
        yield Finding(severity, _CODES[gate.name], target, f"gate {line(gate, now)}", todo)
