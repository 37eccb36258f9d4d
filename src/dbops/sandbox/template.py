"""The `dbops.toml` of a sandbox: complete, valid, and readable as an example."""

import json
import re

from dbops.sandbox.facts import CACHE, CLUSTER, DATABASES, SEARCH, SUPERUSER, WORKFLOWS
from dbops.sandbox.layout import Layout
from dbops.servers import account, emulator, postgres, redis

_HEAD = """\
# The platform of this sandbox, written by 'dbops sandbox up'. Yours to change: it is only written anew when
# the sandbox was moved, and then the old one stays beside it.

[platform]
name = "sandbox"
environment = "development"
state_dir = {state}
ledger = "policycortex"

[cluster.{cluster}]
dsn = {admin_dsn}
password = {{ file = {superuser_file} }}
stanza = {stanza}
pgbackrest_config = {pgbackrest_config}
data_directory = {data_directory}
run_as = {run_as}
objectives = {{ rpo = "5m", rto = "1h" }}

[redis.{cache}]
url = {cache_url}
password = {{ file = {cache_file} }}

# The emulators speak http on a port of 127.0.0.1; a service of Azure is https, and needs no key with managed identity.
[cosmos.{workflows}]
endpoint = {workflows_url}
database = {workflows_database}
key = {{ file = {workflows_file} }}

[search.{search}]
endpoint = {search_url}
key = {{ file = {search_file} }}

[vault]
url = {vault_url}

# One database for each service; its dsn is the owner's. app_admin creates objects too.
"""

_DATABASE = """\
[postgres.{target}]
cluster = "{cluster}"
dsn = {dsn}
password = {{ file = {file} }}
owner = "{{target}}_owner"
creators = ["app_admin"]

"""

# Materialized views of a database, and how fresh they have to be: `dbops matview refresh --stale` from cron.
_VIEWS = {
    "agent_studio": ("workspace_stats", "agent_performance"),
    "modernize": ("engagement_summary",),
}
_VIEW = """\
[postgres.{target}.view.{view}]
schedule = "5m"
staleness = "15m"

"""

# What is partitioned by time; no default partition, so that no ATTACH ever blocks a reader.
_PARTITIONED = {
    "policycortex": """\
[postgres.policycortex.partition.cost_data]
interval = "1 month"
premake = 3

""",
    "agent_studio": """\
[postgres.agent_studio.partition.audit_logs]
interval = "1 month"
premake = 3
retention = "7 years" # SOC2, GDPR, HIPAA
action = "archive"

""",
    "audit": """\
[postgres.audit.partition.audit_events]
interval = "1 month"
premake = 3
policies = { table = "retention_policies", kind = "event_type" } # each type of event has its own retention
action = "archive"

""",
}

_ROLES = """\
# Roles of the cluster; a name with {{target}} makes one for each database, and so does the file of its password.

[roles."{{target}}_owner"]
login = true
bypassrls = true # or forced row security empties its views and dumps
password = {{ file = {owner_file}, generate = true }}
comment = "owns the database, runs its migrations"

[roles."{{target}}"]
comment = "what the service may do; its logins are members"

# Two logins for each service, so that passwords rotate with an overlap.
[roles."{{target}}_a"]
login = true
member_of = ["{{target}}"]
password = {{ file = {a_file}, generate = true }}

[roles."{{target}}_b"]
login = true
member_of = ["{{target}}"]
password = {{ file = {b_file}, generate = true }}

[roles.app_read]
comment = "reads every table"

[roles.app_write]
member_of = ["app_read"]
comment = "writes every table, but changes nothing in the audit tables"

[roles.app_admin]
bypassrls = true
member_of = ["{{target}}_owner"]
comment = "may do what every owner may"

[roles.app_backup]
login = true
bypassrls = true # or a dump misses rows, and says nothing
replication = true
member_of = ["pg_read_all_data"]
password = {{ file = {backup_file}, generate = true }}
comment = "dumps and base backups"

[roles.app_readwrite]
comment = "writes and reads; for tools of the services"

[roles.app_readonly]
comment = "reads; for reports"

[roles.application_user]
comment = "the role that row security policies speak of"

# What each may do in the databases, now and in tables to come. Audit tables only grow.

# A new table can be read and added to at once; UPDATE and DELETE come with the next 'roles apply', which knows
# whether it is append-only. A partition made in between must not be open for an hour.

[[grants]]
to = "{{target}}"
database = ["CONNECT", "TEMPORARY"]
tables = ["SELECT", "INSERT", "UPDATE", "DELETE"]
new_tables = ["SELECT", "INSERT"]
sequences = ["USAGE"]
append_only = ["audit_log*", "audit_event*"]

[[grants]]
to = "app_read"
tables = ["SELECT"]

[[grants]]
to = "app_write"
tables = ["INSERT", "UPDATE", "DELETE"]
new_tables = ["INSERT"]
sequences = ["USAGE"]
append_only = ["audit_log*", "audit_event*"]

[[grants]]
to = "app_readwrite"
tables = ["SELECT", "INSERT", "UPDATE", "DELETE"]
new_tables = ["SELECT", "INSERT"]
sequences = ["USAGE"]
append_only = ["audit_log*", "audit_event*"]

[[grants]]
to = "app_readonly"
tables = ["SELECT"]

[[grants]]
to = "application_user"
tables = ["SELECT", "INSERT", "UPDATE", "DELETE"]
new_tables = ["SELECT", "INSERT"]
sequences = ["USAGE"]
append_only = ["audit_log*", "audit_event*"]

[[grants]]
to = "app_backup"
"""


def text(layout: Layout) -> str:
    """Fill in where everything of this sandbox is."""
    server = layout.server

    def file(name: str) -> str:
        return _quoted(layout.secret_file(name))

    head = _HEAD.format(
        state=_quoted(layout.state),
        cluster=CLUSTER,
        admin_dsn=_quoted(postgres.conninfo(server)),
        superuser_file=file(SUPERUSER),
        stanza=_quoted(layout.stanza.name),
        pgbackrest_config=_quoted(layout.stanza.config),
        data_directory=_quoted(server.data),
        run_as=_quoted(account.name()),
        cache=CACHE,
        cache_url=_quoted(redis.url(layout.cache)),
        cache_file=file(CACHE),
        workflows=WORKFLOWS,
        workflows_url=_quoted(emulator.url(layout.emulator(WORKFLOWS))),
        workflows_database=_quoted(WORKFLOWS),
        workflows_file=file(WORKFLOWS),
        search=SEARCH,
        search_url=_quoted(emulator.url(layout.emulator(SEARCH))),
        search_file=file(SEARCH),
        vault_url=_quoted(layout.vault.as_uri()),
    )
    databases = [
        _DATABASE.format(
            target=target,
            cluster=CLUSTER,
            dsn=_quoted(postgres.conninfo(server, user=f"{target}_owner", dbname=database)),
            file=file(f"{target}_owner"),
        )
        + "".join(_VIEW.format(target=target, view=view) for view in _VIEWS.get(target, ()))
        + _PARTITIONED.get(target, "")
        for target, database in DATABASES.items()
    ]
    roles = _ROLES.format(
        owner_file=file("{target}_owner"),
        a_file=file("{target}_a"),
        b_file=file("{target}_b"),
        backup_file=file("app_backup"),
    )
    return head + "\n" + "".join(databases) + roles


def _quoted(value: object) -> str:
    """Write a TOML string: JSON's escapes are TOML's, but for the one character that JSON leaves alone."""
    return re.sub("\x7f", r"\\u007f", json.dumps(str(value), ensure_ascii=False))
