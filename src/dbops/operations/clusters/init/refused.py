"""What stands in the way of bringing a cluster under backup at all; pure."""

from dbops.operations.clusters.init.facts import Facts, Pass, Repository, Server
from dbops.operations.clusters.init.plan import at, index


def refusal(facts: Facts) -> tuple[str, str] | None:
    """Tell why nothing may be done at all, and what to do about it."""
    server, stanza = facts.server, facts.wanted.stanza
    if server is None:
        return None
    if server.standby:
        return "the server is a standby", "let the dsn lead to the primary: its archiver is the one that counts"
    path = facts.option(f"pg{index(facts)}-path")
    if path not in (None, server.data_directory):
        told = f"the stanza {stanza} in {facts.conf.main.path} is for {path}; the server is in {server.data_directory}"
        return told, f"give this cluster a stanza of its own: [cluster.{facts.target}] stanza"
    clashing = [key for key, known in facts.conf.passes if known is Pass.CLASHES]
    if clashing:
        told = f"{facts.conf.main.path} has another repo{clashing[0]}-cipher-pass than the platform's configuration"
        return told, "take that line out, or correct the reference; pgBackRest takes no option twice"
    return next((told for key in facts.keys if (told := _refused(facts, server, at(facts, key)))), None)


def _refused(facts: Facts, server: Server, there: Repository) -> tuple[str, str] | None:
    stanza, where = facts.wanted.stanza, f"repository {there.key}"
    if there.unread is not None:
        return f"{where} cannot be looked at: {there.unread}", "dbops backup audit tells what is wrong with it"
    wanted = dict(dict(facts.wanted.repositories).get(there.key, ()))
    for name in ("path", "type"):
        told = facts.option(f"repo{there.key}-{name}")
        if name in wanted and told not in (None, wanted[name]):
            said = f"{where} has {name} {told} in {facts.conf.main.path}, and {wanted[name]} in that of the platform"
            return said, "make the two agree; a repository does not move by being called another"
    if not there.created:
        return None
    if there.key in facts.wanted.ciphers and not there.encrypted:
        return (
            f"the stanza {stanza} in {where} was created without a cipher",
            "a cipher is fixed when the stanza is created: name another repository number for it",
        )
    if there.system_id in (None, server.system_id) and there.version in (None, server.major):
        return None
    if there.version is not None and int(there.version.partition(".")[0]) < int(server.major):
        return None  # pg_upgrade makes a new system identifier: the stanza follows
    theirs = f"system identifier {there.system_id}, PostgreSQL {there.version}"
    told = f"the stanza {stanza} in {where} belongs to another cluster: {theirs}; this one is {server.system_id},"
    hint = f"give this cluster a stanza of its own: [cluster.{facts.target}] stanza; nothing was changed"
    return f"{told} PostgreSQL {server.major}", hint
