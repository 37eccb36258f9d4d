"""The SQL of retiring: what the preview shows is what apply runs; pure."""

from dbops.engine.plan import Statement
from dbops.operations.partitions.retire_facts import Part, Retired, grace_schema


def parent(table: Retired) -> tuple[str, ...]:
    return (table.schema, table.table)


def finalize(table: Retired, name: tuple[str, str]) -> Statement:
    return Statement("ALTER TABLE {} DETACH PARTITION {} FINALIZE", (parent(table), name))


def detach(table: Retired, part: Part, *, concurrently: bool) -> Statement:
    how = " CONCURRENTLY" if concurrently else ""
    return Statement(f"ALTER TABLE {{}} DETACH PARTITION {{}}{how}", (parent(table), (part.schema, part.name)))


def lock(schema: str, name: str, mode: str) -> Statement:
    return Statement(f"LOCK TABLE {{}} IN {mode} MODE", ((schema, name),))


def drop_foreign_key(part: Part, name: str) -> Statement:
    return Statement("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", ((part.schema, part.name), (name,)))


def seal(part: Part) -> tuple[Statement, ...]:
    """Cut its foreign keys: what is archived must neither follow nor stop a DELETE elsewhere. Then revoke."""
    keys = tuple(drop_foreign_key(part, name) for name in part.foreign_keys)
    return (*keys, lock(part.schema, part.name, "SHARE ROW EXCLUSIVE"), *revoke(part, part.grantees))


def revoke(part: Part, grantees: tuple[str, ...]) -> tuple[Statement, ...]:
    """Take every right: nobody can enter the grace schema, and what could still be granted there would be drift."""
    if not grantees:
        return ()
    marks = ", ".join("{}" if name else "PUBLIC" for name in grantees)
    names = ((part.schema, part.name), *((name,) for name in grantees if name))
    return (Statement(f"REVOKE ALL ON TABLE {{}} FROM {marks} CASCADE", names),)


def there(part: Part) -> str:
    return grace_schema(part.home)


def create_grace(part: Part) -> Statement:
    return Statement("CREATE SCHEMA IF NOT EXISTS {}", ((there(part),),))


def set_schema(schema: str, name: str, to: str) -> Statement:
    return Statement("ALTER TABLE {} SET SCHEMA {}", ((schema, name), (to,)))


def shelve(part: Part) -> tuple[Statement, ...]:
    return (create_grace(part), set_schema(part.schema, part.name, there(part)))


def drop(part: Part) -> Statement:
    return Statement("DROP TABLE {}", ((there(part), part.name),))
