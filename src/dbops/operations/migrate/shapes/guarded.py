"""SQL that may be run again: what a killed run has done is not done twice.

Tables are given as their author wrote them in SQL; names of constraints, indexes and columns are given plain.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

import hashlib
import re

from dbops.engine.plan import literal, qualified

_PART = re.compile(r"@(\w+)@")
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\s."()]+)'
_WITH_SCHEMA = re.compile(rf"\s*({_IDENTIFIER})\s*\.\s*{_IDENTIFIER}\s*")


def quoted(name: str) -> str:
    return qualified((name,))


def beside(table: str, name: str) -> str:
    """Name something that lies in the schema of a table, as an index does."""
    schema = _WITH_SCHEMA.fullmatch(table)
    return f"{schema[1]}.{quoted(name)}" if schema else quoted(name)


def oid(table: str) -> str:
    """Write the OID of a table: NULL where it is missing."""
    return f"pg_catalog.to_regclass({literal(table)})"


def block(body: str) -> str:
    """Write a block of PL/pgSQL."""
    tag = "$dbops$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"DO {tag}\n{body}\n{tag}"


def filled(text: str, **parts: str) -> str:
    """Put parts in for @name@, in one go; what is unknown stays."""
    return _PART.sub(lambda match: parts.get(match[1], match[0]), text)


def when(condition: str, *statements: str) -> str:
    """Run statements only where a condition holds."""
    return block(f"BEGIN\n    IF {condition} THEN\n{_lines(statements)}\n    END IF;\nEND")


def _lines(statements: tuple[str, ...]) -> str:
    return "\n".join(f"        {statement};" for statement in statements)


def has_constraint(table: str, name: str) -> str:
    return f"EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = {oid(table)} AND conname = {literal(name)})"


def has_column(table: str, name: str, more: str = "") -> str:
    return (
        f"EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = {oid(table)}"
        f" AND attname = {literal(name)} AND NOT attisdropped{f' AND {more}' if more else ''})"
    )


def add_once(table: str, name: str, definition: str, mark: str) -> str:
    """Add a constraint, and mark it as under way; one of that name without the mark is somebody else's."""
    there = (
        "SELECT coalesce(pg_catalog.obj_description(oid, 'pg_constraint'), '') FROM pg_catalog.pg_constraint"
        f" WHERE conrelid = {oid(table)} AND conname = {literal(name)}"
    )
    return block(
        f"DECLARE\n    there text := ({there});\nBEGIN\n"
        "    IF there IS NULL THEN\n"
        f"        ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} {definition};\n"
        f"        COMMENT ON CONSTRAINT {quoted(name)} ON {table} IS {literal(mark)};\n"
        f"    ELSIF there <> {literal(mark)} THEN\n"
        f"        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',\n"
        f"            MESSAGE = {literal(f'constraint {name} of {table} exists already')};\n"
        "    END IF;\nEND"
    )


def refuse_rows(table: str, offending: str, message: str) -> str:
    """Stop where rows (alias r) offend, before anything was done; tell their keys, and nothing else of them."""
    return block(
        "DECLARE\n"
        "    key text := coalesce((\n"
        "        SELECT string_agg(format('r.%I::text', a.attname), ', ' ORDER BY array_position(i.indkey, a.attnum))\n"
        "          FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a\n"
        "            ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)\n"
        f"         WHERE i.indrelid = {oid(table)} AND i.indisprimary), 'r.ctid::text');\n"
        "    found text;\n"
        "BEGIN\n"
        "    EXECUTE format('SELECT string_agg(k, '', '') FROM (SELECT concat_ws(''/'', %s) AS k', key)\n"
        f"        || {literal(f' FROM {table} AS r WHERE {offending} LIMIT 5) AS t')} INTO found;\n"
        "    IF found IS NOT NULL THEN\n"
        "        RAISE EXCEPTION USING ERRCODE = 'check_violation',\n"
        f"            MESSAGE = {literal(message + '; the keys of the first ones: ')} || found;\n"
        "    END IF;\nEND"
    )


def on_partition(name: str, column: str) -> str:
    """Write the name that an index has on a partition, from the column that holds the partition's name."""
    whole = f"{literal(name + '_')} || {column}"
    return (
        f"(CASE WHEN octet_length({whole}) <= 63 THEN {whole}"
        f" ELSE left({whole}, 12) || '_' || left(md5({whole}), 12) END)"
    )


def partition_name(name: str, partition: str) -> str:
    """Tell the same name as PostgreSQL would by `on_partition`."""
    whole = f"{name}_{partition}"
    if len(whole.encode()) <= 63:
        return whole
    return f"{whole[:12]}_{hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest()[:12]}"


def each_partition(table: str, statement: str, more: str = "true", order: str = "") -> str:
    """Write the query that yields a statement (an expression over p, c, n, above) for each partition below a table."""
    ordered = f"\n ORDER BY {order}" if order else "\n ORDER BY p.level, c.relname"
    return (
        f"SELECT {statement}\n"
        f"  FROM pg_catalog.pg_partition_tree({oid(table)}) p\n"
        "  JOIN pg_catalog.pg_class c ON c.oid = p.relid\n"
        "  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        "  JOIN pg_catalog.pg_class above ON above.oid = p.parentrelid\n"
        "  JOIN pg_catalog.pg_namespace of_above ON of_above.oid = above.relnamespace\n"
        f" WHERE p.level > 0 AND {more}{ordered}"
    )
