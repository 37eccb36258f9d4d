"""The commented `dbops.toml` that `config init` prints. A test holds that it is valid."""

TEXT = """\
# dbops.toml: what dbops knows of your platform.
# Secrets are references: "${NAME}" reads an environment variable, { file = "..." } a file of mode 0600.
# 'dbops config schema' describes every key; 'dbops config check' validates this file and tries every secret.

[platform]
name = "example"
environment = "development"        # development, test, staging, production
# state_dir = "/var/lib/dbops"     # journals and locks; default $XDG_STATE_HOME/dbops/<name>
# ledger = "orders"                # the database that keeps the ledger of stores that are not PostgreSQL

# A PostgreSQL server; its dsn is the administrator's.
[cluster.main]
dsn = "host=db.example.internal user=postgres dbname=postgres"
password = "${MAIN_ADMIN_PASSWORD}"
tls = { mode = "verify-full" }
# stanza = "main"                          # the pgBackRest stanza of this server
# pgbackrest_config = "/etc/pgbackrest.conf"
# data_directory = "/var/lib/postgresql/15/main"
# run_as = "postgres"                      # the account that runs pgBackRest
# objectives = { rpo = "5m", rto = "1h", backup_age = "25h" }
# repository.1 = { path = "/var/lib/pgbackrest", cipher = { file = "/etc/dbops/secrets/repository", generate = true } }

# When 'dbops backup run' takes which backup, and what 'dbops backup expire' keeps.
[cluster.main.backup]
full = "02:00"                             # every day, UTC
diff = "6h"                                # between them; every other run is incremental
keep = 7                                   # full backups, with all that needs them
# keep_for = "14 days"                     # any moment of the last 14 days stays within reach
# hold = [{ label = "20260801-020000F", reason = "audit of 2026" }]   # never expired
# lost = [{ from = "0000000100000000000000A1", to = "0000000100000000000000A1", reason = "disk", on = 2026-08-02 }]

# One database of it; its dsn is the owner's. One such table for each service.
[postgres.orders]
cluster = "main"
dsn = "host=db.example.internal user=orders_owner dbname=orders"
password = "${ORDERS_OWNER_PASSWORD}"
tls = { mode = "verify-full" }
owner = "{target}_owner"
# replicas = ["host=standby.example.internal user=orders_owner dbname=orders"]   # 'migrate verify' reads there
# soak = "7d"                      # between the switch of a schema change and its contraction
# old_clients = ["orders 1.*"]     # application names of clients that know only the old; [] where names tell nothing

# Materialized views with a schedule are kept fresh by 'dbops matview refresh --stale' from cron, or '--every 1m'.
[postgres.orders.view.daily_sales]
schedule = "5m"
staleness = "15m"                  # the objective: how old its content may be
# mode = "auto"                    # auto, concurrently, plain
# timeout = "4m"                   # of one refresh; default nine tenths of the schedule
# skip_unchanged = true            # leave it alone while nothing that it reads has changed

[redis.cache]
url = "rediss://cache.example.internal:6380/0"
password = "${CACHE_PASSWORD}"

# One database of a Cosmos DB account. Without a key: managed identity, workload identity, or 'az login'.
[cosmos.workflows]
endpoint = "https://example.documents.azure.com"
database = "workflows"
key = "${WORKFLOWS_KEY}"

[search.products]
endpoint = "https://example.search.windows.net"
key = "${PRODUCTS_KEY}"            # an admin key where indexes are changed or listed

# Where backups and exports go: file:///folder, azure://account/container/prefix, s3://bucket/prefix
[vault]
url = "azure://examplebackups/dbops"
key = "${VAULT_KEY}"               # default: the default chain of the cloud
# recipients = ["age1..."]         # with any, artifacts are encrypted for these age keys
# identity = { file = "/etc/dbops/secrets/age" }   # reads them back
# tiers.monthly = { prefix = "monthly", storage_class = "Cool" }

[vault.copies.elsewhere]           # a second place, that 'dbops vault copy' keeps up
url = "s3://example-backups/dbops"
region = "eu-central-1"
max_age = "26h"

# Roles: {target} in a name makes one role for each database.
[roles."{target}_owner"]
login = true
bypassrls = true                   # or forced row security empties its views and dumps
password = "${ORDERS_OWNER_PASSWORD}"
comment = "owns the database and runs its migrations"

[roles."{target}"]
comment = "what the service may do; its logins are members"

# Two logins per service, so that passwords rotate with an overlap.
[roles."{target}_a"]
login = true
member_of = ["{target}"]
password = { file = "/etc/dbops/secrets/{target}_a", generate = true }

[roles."{target}_b"]
login = true
member_of = ["{target}"]
password = { file = "/etc/dbops/secrets/{target}_b", generate = true }

[[grants]]
to = "{target}"
tables = ["SELECT", "INSERT", "UPDATE", "DELETE"]
sequences = ["USAGE"]
append_only = ["audit_*"]          # nobody but the owner changes or deletes there
"""
