"""What is wrong with pgBackRest's configuration, option by option; pure. Codes: see check.py."""

from collections.abc import Iterator

from dbops.engine.finding import Severity
from dbops.operations.clusters.init.check import Deviation, Judge
from dbops.operations.clusters.init.facts import Facts, secret

_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # looked for, not used
_SLOW = (None, "gz", "bz2")
_FEW = 2  # processes that even a small host can spare


def settings(facts: Facts) -> Iterator[Deviation]:
    tell = Judge(facts.target)
    main, stanza = facts.conf.main, facts.wanted.stanza
    if not main.exists:
        yield tell(Severity.BAD, 109, "the configuration of pgBackRest", f"{main.path} is not there", "there")
        return
    if not main.readable:
        wanted = "readable for the account that runs dbops"
        how = f"run dbops as {facts.account or 'its owner'} or as root"
        yield tell(Severity.UNKNOWN, 131, main.path, "could not be read", wanted, how)
        return
    yield from _files(facts, tell)
    if facts.ours is None:
        yield tell(Severity.BAD, 109, f"section [{stanza}]", f"not in {main.path}", "there, with pg1-path")
    for name in facts.conf.foreign:
        command = f"rename [{name}] to the stanza that is used, or take it out of {main.path}"
        yield tell(
            Severity.WARNING, 110, f"section [{name}]", "names no stanza that is in use", f"[{stanza}]?", command
        )
    yield from _tool(facts, tell)
    yield from _folders(facts, tell)
    for key in facts.keys:
        yield from _repository(facts, key, tell)


def _files(facts: Facts, tell: Judge) -> Iterator[Deviation]:
    main, include = facts.conf.main, facts.conf.include
    for one in (main, include):
        if one.exists and not one.by_account:
            how = f"chown {facts.account} {one.path}"
            found = f"{facts.account} may not read it"
            yield tell(Severity.BAD, 123, one.path, found, "readable for the account of the archiver", how)
    secrets = [name for section in facts.conf.sections for name, _ in section.values if secret(name)]
    if secrets and (main.by_others or (include.exists and include.by_others)):
        open_one = main.path if main.by_others else include.path
        found = f"{', '.join(sorted(set(secrets)))} stands beside what everybody on this host can read"
        yield tell(Severity.BAD, 117, open_one, found, "mode 0640 or less", f"chmod o-rwx {open_one}")


def _tool(facts: Facts, tell: Judge) -> Iterator[Deviation]:
    path = facts.conf.main.path
    most = max(_FEW, facts.cores // 4)
    told = facts.option("process-max", "backup")
    number = int(told) if told is not None and told.isdecimal() else 1
    if number > most:
        wanted = f"at most {most}, a quarter of {facts.cores} cores: the server needs the others"
        yield tell(Severity.WARNING, 113, "process-max", str(number), wanted, f"process-max={most} in {path}")
    elif number == 1 and facts.cores // 4 > 1:
        found, wanted = told or "not set, which is 1", f"{facts.cores // 4}, a quarter of {facts.cores} cores"
        yield tell(Severity.WARNING, 113, "process-max", found, wanted, f"process-max={facts.cores // 4} in {path}")
    kind = facts.option("compress-type", "backup")
    if kind in _SLOW or kind == "none" or facts.option("compress", "backup") == "n":
        found = "not set, which is gz: several times slower" if kind is None else kind
        yield tell(Severity.WARNING, 114, "compress-type", found, "zst", f"compress-type=zst in {path}")
    if facts.option("start-fast", "backup") != "y":
        wanted = "y: otherwise a backup waits for the next checkpoint"
        yield tell(Severity.WARNING, 121, "start-fast", "n", wanted, f"start-fast=y in {path}")


def _folders(facts: Facts, tell: Judge) -> Iterator[Deviation]:
    for name in ("lock-path", "log-path", "spool-path"):
        told = facts.option(name)
        path = told or ("/tmp/pgbackrest" if name == "lock-path" else None)  # noqa: S108  # its default
        if path is None:
            continue
        command = f"another {name} in {facts.conf.main.path}"
        if path.rstrip("/").rpartition("/")[0] in _TEMPORARY:
            wanted = "not in a folder that everybody writes to, and that is swept"
            yield tell(Severity.WARNING, 120, name, path if told else f"not set, which is {path}", wanted, command)
        data = facts.server.data_directory if facts.server is not None else facts.option("pg1-path")
        if data is not None and f"{path}/".startswith(f"{data.rstrip('/')}/"):
            wanted = "outside of the data directory: it would be a part of each backup"
            yield tell(Severity.WARNING, 120, name, path, wanted, command)


def _repository(facts: Facts, key: int, tell: Judge) -> Iterator[Deviation]:
    path, name = facts.conf.main.path, f"repo{key}"
    if facts.option(f"{name}-bundle") != "y":
        wanted = "y: thousands of small files cost a file each"
        yield tell(Severity.WARNING, 115, f"{name}-bundle", "n", wanted, f"{name}-bundle=y in {path}")
    data = facts.server.data_directory if facts.server is not None else None
    folder = facts.option(f"{name}-path")
    if data is not None and folder is not None and f"{folder}/".startswith(f"{data.rstrip('/')}/"):
        wanted = "outside of the data directory: it dies with it"
        yield tell(Severity.BAD, 120, f"{name}-path", folder, wanted, f"move it; [cluster.{facts.target}.repository]")
    yield from _retention(facts, key, tell)


def _retention(facts: Facts, key: int, tell: Judge) -> Iterator[Deviation]:
    path, name = facts.conf.main.path, f"repo{key}-retention"
    full, archive = facts.option(f"{name}-full"), facts.option(f"{name}-archive")
    kind = facts.option(f"{name}-archive-type") or "full"
    by_time = facts.option(f"{name}-full-type") == "time"
    if archive is not None and archive.isdecimal() and kind == "full":
        take_out = f"take {name}-archive out of {path}"
        if by_time or full is None or not full.isdecimal() or int(archive) > int(full):
            kept = f"only {full} full backups are ever kept" if full is not None and not by_time else "nobody counts so"
            found = f"{archive}, which counts full backups, not days; {kept}, so WAL never expires"
            yield tell(Severity.WARNING, 118, f"{name}-archive", found, "not set", take_out)
        elif int(archive) < int(full):
            found = f"{archive}: the WAL of {int(full) - int(archive)} of {full} full backups is taken away"
            wanted = "not set: older backups could be restored to their own end only"
            yield tell(Severity.BAD, 118, f"{name}-archive", found, wanted, take_out)
    if full is not None and facts.option("expire-auto", "backup") != "n":
        found = f"{name}-full={full} makes each plain `pgbackrest backup` expire"
        wanted = f"expire-auto=n: what goes is decided by `dbops backup expire` (keep = {facts.wanted.keep})"
        yield tell(Severity.WARNING, 119, "expire-auto", found, wanted, f"expire-auto=n in {path}")
