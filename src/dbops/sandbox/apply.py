"""Do one step of a sandbox's plan; doing it twice is doing it once."""

import base64
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from psycopg import errors, sql

from dbops.config.load import generate
from dbops.engine.plan import Step
from dbops.engine.run import Run
from dbops.errors import DbopsError
from dbops.operations.clusters.restore import places
from dbops.operations.roles import scram
from dbops.sandbox import plan, template
from dbops.sandbox.facts import CACHE, CLUSTER, DATABASES, SUPERUSER, WORKFLOWS
from dbops.sandbox.layout import Layout
from dbops.sandbox.observe import is_configured
from dbops.servers import account, emulator, postgres, redis, scratch, stanza
from dbops.stores import postgres as store


def apply(layout: Layout, run: Run, step: Step[plan.Action]) -> None:
    try:
        _apply(layout, run, step)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise DbopsError(
            f"cannot {step.summary}: {error.strerror or error}{where}",
            hint="make room, or make it writable; then run the same command again: it goes on from here",
            target=plan.TARGET,
        ) from error


def _apply(layout: Layout, run: Run, step: Step[plan.Action]) -> None:
    server, cache = layout.server, layout.cache
    match step.action:
        case plan.WriteSecrets(names):
            for name in names:
                _ensure_secret(layout, name)
        case plan.Initialise():
            postgres.create(server, layout.secret(SUPERUSER))
        case plan.StartCluster():
            postgres.start(replace(server, archive_command=stanza.archive_command(layout.stanza)))
            stanza.configure(layout.stanza, server)
        case plan.EnsureOwner(target):
            _ensure_owner(layout, run, f"{target}_owner")
        case plan.EnsureDatabase(target):
            _ensure_database(layout, run, DATABASES[target], f"{target}_owner")
        case plan.CreateStanza():
            stanza.create(layout.stanza, server, layout.secret(SUPERUSER), target=CLUSTER)
        case plan.CheckArchiving():
            stanza.check(layout.stanza, layout.secret(SUPERUSER), target=CLUSTER)
        case plan.StartCache():
            redis.start(cache, layout.secret(CACHE))
        case plan.StartEmulator(target):
            emulator.start(layout.emulator(target, with_keys=True))
        case plan.MakeVault():
            layout.vault.mkdir(mode=0o700, exist_ok=True)
        case plan.WriteConfig():
            _write_config(layout)
        case plan.StopEmulator(target):
            emulator.stop(layout.emulator(target))
        case plan.StopCache():
            redis.stop(cache)
        case plan.StopCluster():
            postgres.stop(server)
        case plan.StopCopy(name) | plan.RemoveCopy(name):
            _end_copy(layout, name, remove=isinstance(step.action, plan.RemoveCopy))
        case plan.RemoveFiles():
            _remove_files(layout)
        case _:
            assert_never(step.action)


def _ensure_secret(layout: Layout, name: str) -> None:
    if not layout.secret_file(name).exists():
        # Clients of Cosmos DB sign with the bytes that the key is the base64 of.
        key = base64.b64encode(secrets.token_bytes(64)).decode() if name == WORKFLOWS else None
        generate(layout.secret_file(name), key)


def _ensure_owner(layout: Layout, run: Run, owner: str) -> None:
    """Passwords never travel: the server is given the verifier."""
    verifier = scram.verifier(layout.secret(owner))
    rest = sql.SQL("{} LOGIN BYPASSRLS PASSWORD {}").format(sql.Identifier(owner), sql.Literal(verifier))
    with store.connect(layout.cluster, run, target=CLUSTER) as conn:
        try:
            conn.execute(sql.SQL("CREATE ROLE ") + rest)
        except errors.DuplicateObject:
            conn.execute(sql.SQL("ALTER ROLE ") + rest)


def _ensure_database(layout: Layout, run: Run, database: str, owner: str) -> None:
    names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
    with store.connect(layout.cluster, run, target=CLUSTER) as conn:
        # A backend of a killed run may create it just now: then it is there when ours gives up.
        with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
            conn.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner} TEMPLATE template0").format(**names))
            return
        conn.execute(sql.SQL("ALTER DATABASE {database} OWNER TO {owner}").format(**names))


def _write_config(layout: Layout) -> None:
    if is_configured(layout):
        return
    if layout.config.exists():  # somebody may have written something of their own into it
        layout.config.replace(layout.config.with_name("dbops.toml.old"))
    account.write_file(layout.config, template.text(layout), 0o644, ours=True)


def _end_copy(layout: Layout, name: str, *, remove: bool) -> None:
    """Whoever may still work on it loses it: this is the end of the whole platform."""
    for one in places.recorded(layout.state):
        if one.name == name and remove:
            places.remove(layout.state, one)
        elif one.name == name:
            scratch.stop(one.home)


def _remove_files(layout: Layout) -> None:
    """The marker and the lock go last: until then this is a sandbox, and somebody is at work on it."""
    last = (layout.marker, layout.lock)
    for entry in layout.root.iterdir():
        if entry not in last:
            if entry.is_dir():
                account.remove_folder(entry)
            else:
                entry.unlink()
    for entry in last:
        entry.unlink(missing_ok=True)
    layout.root.rmdir()
