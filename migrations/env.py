"""How Alembic reaches a database of the platform: the section of alembic.ini is its target in dbops.toml."""

from alembic import context

from dbops.operations.migrate import environment

options = {
    "transaction_per_migration": True,
    "compare_type": True,
    "compare_server_default": True,
    "include_schemas": True,
    "include_name": environment.is_ours,
}

if context.is_offline_mode():
    # with the driver's own style, each per cent sign of the script would be doubled
    named = {"paramstyle": "named"}
    context.configure(dialect_name="postgresql", dialect_opts=named, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    with environment.connection(context.config, context.get_x_argument(as_dictionary=True)) as connection:
        context.configure(connection=connection, on_version_apply=environment.told(connection), **options)
        with context.begin_transaction():
            context.run_migrations()
