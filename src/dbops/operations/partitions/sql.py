"""The SQL of `ensure`: what the preview shows is what apply runs; pure."""

import re
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from dbops.engine.plan import Statement, Verbatim, literal, qualified
from dbops.operations.partitions.bounds import Kind, Span
from dbops.operations.partitions.facts import Name, Parent, Policy, Right, Shape

# What is no identifier (strings, dollar quotes never come out of the deparser), then identifiers.
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*|.", re.DOTALL)
HELPER = "dbops_bounds"


def finalize(parent: Name, name: Name) -> tuple[Statement, ...]:
    return (Statement("ALTER TABLE {} DETACH PARTITION {} FINALIZE", (parent, name)),)


def instant(moment: datetime, kind: Kind) -> str:
    """Write a bound so that no session's zone can change it."""
    match kind:
        case Kind.DATE:
            return f"{moment:%Y-%m-%d}"
        case Kind.TIMESTAMP:
            return moment.replace(tzinfo=None).isoformat(sep=" ")
        case Kind.TIMESTAMPTZ:
            return moment.isoformat(sep=" ").removesuffix(":00")


def bounds(span: Span, kind: Kind) -> tuple[str, str]:
    if span.start is None or span.end is None:
        raise ValueError("a partition that we make has two bounds")
    return instant(span.start, kind), instant(span.end, kind)


def create(parent: Parent, name: Name, span: Span, kind: Kind, column: str) -> tuple[Statement, ...]:
    """Make the stand-alone table with all that ATTACH does not bring; foreign keys are what ATTACH brings."""
    shape = parent.shape or Shape("")
    low, high = bounds(span, kind)
    divided = f" PARTITION BY {shape.divided_by}" if shape.divided_by else ""
    options = "" if shape.divided_by or not shape.options else " WITH ({})"
    text = (
        "CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY,"
        f" CONSTRAINT {{}} CHECK ({{}} IS NOT NULL AND {{}} >= %s AND {{}} < %s)){divided}{options}"
        f"{' TABLESPACE {}' if shape.tablespace else ''}"
    )
    names: list[tuple[str, ...] | Verbatim] = [name, parent.place, (HELPER,), (column,), (column,), (column,)]
    names += [Verbatim(_options(shape.options))] if options else []
    names += [(shape.tablespace,)] if shape.tablespace else []
    made = Statement(text, tuple(names), (low, high))
    return (made, *_divided(shape, name), *_like(parent, shape, name))


def _options(options: Iterable[str]) -> str:
    told = (option.partition("=") for option in options)
    return ", ".join(f"{key} = {literal(value)}" for key, _, value in told)


def _divided(shape: Shape, name: Name) -> Iterable[Statement]:
    for child in shape.children:
        table = (name[0], shortened(name[1], child.suffix))
        yield Statement("CREATE TABLE {} PARTITION OF {} {}", (table, name, Verbatim(child.bound)))


def _like(parent: Parent, shape: Shape, name: Name) -> Iterable[Statement]:
    tables = [name, *((name[0], shortened(name[1], child.suffix)) for child in shape.children)]
    for table in tables:
        yield from rights(shape, parent.rights, table)
        yield from _row_security(parent, shape, table)
        if parent.shape and shape.replica_identity in {"f", "n"} and not (table == name and shape.divided_by):
            full = "FULL" if shape.replica_identity == "f" else "NOTHING"
            yield Statement(f"ALTER TABLE {{}} REPLICA IDENTITY {full}", (table,))
    for column, target in shape.targets:
        yield Statement(f"ALTER TABLE {{}} ALTER COLUMN {{}} SET STATISTICS {target:d}", (name, (column,)))
    if shape.comment:
        yield Statement("COMMENT ON TABLE {} IS %s", (name,), (shape.comment,))
    for publication in shape.publications:
        yield Statement("ALTER PUBLICATION {} ADD TABLE {}", ((publication,), name))
    if parent.owner != shape.current_user:
        for table in tables:
            yield Statement("ALTER TABLE {} OWNER TO {}", (table, (parent.owner,)))


def rights(shape: Shape, rights: tuple[Right, ...], table: Name) -> Iterable[Statement]:
    """Take what default privileges give, then give what the parent gives: nothing more, nothing less."""
    if shape.default_grantees:
        yield _to("REVOKE ALL ON TABLE {} FROM", table, shape.default_grantees)
    given: dict[tuple[str, bool], list[str]] = {}  # who gets the same gets it at once
    for grantee, grantable, privileges in _by_grantee(rights):
        given.setdefault((privileges, grantable), []).append(grantee)
    for (privileges, grantable), grantees in given.items():
        more = " WITH GRANT OPTION" if grantable else ""
        yield _to(f"GRANT {_escaped(privileges)} ON TABLE {{}} TO", table, grantees, more)


def _by_grantee(rights: tuple[Right, ...]) -> Iterable[tuple[str, bool, str]]:
    def alike(right: Right) -> tuple[str, bool, str]:
        return (right.grantee, right.grantable, right.column)

    for (grantee, grantable, column), some in groupby(sorted(rights, key=alike), alike):
        where = f" ({qualified((column,))})" if column else ""
        yield grantee, grantable, ", ".join(right.privilege + where for right in some)


def _escaped(text: str) -> str:
    """Keep a column's own per cent signs and braces out of a Statement's marks."""
    return text.replace("%", "%%").replace("{}", "{ }")


def _to(text: str, table: Name, grantees: Iterable[str], more: str = "") -> Statement:
    named = tuple(grantees)
    told = ", ".join("{}" if grantee else "PUBLIC" for grantee in named)
    return Statement(f"{text} {told}{more}", (table, *((grantee,) for grantee in named if grantee)))


def _row_security(parent: Parent, shape: Shape, table: Name) -> Iterable[Statement]:
    if parent.row_security:
        yield Statement("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", (table,))
    if parent.forced:
        yield Statement("ALTER TABLE {} FORCE ROW LEVEL SECURITY", (table,))
    for policy in shape.policies:
        yield from _policy(parent, policy, table)


def _policy(parent: Parent, policy: Policy, table: Name) -> Iterable[Statement]:
    kind = "PERMISSIVE" if policy.permissive else "RESTRICTIVE"
    roles = ", ".join("{}" if role else "PUBLIC" for role in policy.roles)
    text = f"CREATE POLICY {{}} ON {{}} AS {kind} FOR {policy.command} TO {roles}"
    names: list[tuple[str, ...] | Verbatim] = [(policy.name,), table, *((role,) for role in policy.roles if role)]
    for word, expression in (("USING", policy.using), ("WITH CHECK", policy.check)):
        if expression is not None:
            text += f" {word} ({{}})"
            names.append(Verbatim(renamed(expression, parent.name, table[1])))
    yield Statement(text, tuple(names))
    if policy.comment:
        yield Statement("COMMENT ON POLICY {} ON {} IS %s", ((policy.name,), table), (policy.comment,))


def renamed(expression: str, old: str, new: str) -> str:
    """Let the columns of one table, as the server spells them inside subqueries, be those of another."""
    tokens = _TOKEN.findall(expression)
    out: list[str] = []
    for number, token in enumerate(tokens):
        after = tokens[number + 1] if number + 1 < len(tokens) else ""
        before = tokens[number - 1] if number else ""
        mine = _spelled(token) == old and after == "." and before != "."
        out.append(qualified((new,)) if mine else token)
    return "".join(out)


def _spelled(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') and len(token) > 1 else token


def attach(parent: Parent, name: Name, span: Span, kind: Kind) -> tuple[Statement, ...]:
    """Attach, and drop the helper under the lock that ATTACH has taken already."""
    return (
        Statement(
            "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM (%s) TO (%s)",
            (parent.place, name),
            bounds(span, kind),
        ),
        Statement("ALTER TABLE {} DROP CONSTRAINT {}", (name, (HELPER,))),
    )


def analyze(names: Iterable[Name]) -> tuple[Statement, ...]:
    tables = tuple(names)
    return (Statement(f"ANALYZE {', '.join('{}' for _ in tables)}", tables),)


def drop_default(default: Name) -> tuple[Statement, ...]:
    return (Statement("DROP TABLE {}", (default,)),)


def shortened(name: str, suffix: str) -> str:
    """Join them within the 63 bytes of a name; the suffix is what tells partitions apart."""
    room = 63 - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix
