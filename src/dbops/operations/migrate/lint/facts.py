"""What the rules look at: the catalog that a history built, its revisions, and what was allowed with a reason."""

from dataclasses import dataclass

from dbops.operations.migrate.forecast.facts import Hazard, Line

TENANT_COLUMNS = ("tenant_id", "client_account_id", "workspace_id", "organization_id")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str  # as PostgreSQL writes it, domains resolved


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a partitioned one; leaf partitions are their root's."""

    name: str
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()  # key columns of those that find every row; an expression is ""
    comment: str | None = None
    row_security: bool = False
    forced: bool = False
    policies: int = 0

    @property
    def column_names(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Code:
    """SQL that is stored in the database and run later: a policy's expressions, a function, a view."""

    kind: str
    name: str
    text: str
    definer: bool = False  # SECURITY DEFINER
    search_path: bool = False  # it is fixed


@dataclass(frozen=True, slots=True)
class Seen:
    """A catalog."""

    tables: tuple[Table, ...] = ()
    code: tuple[Code, ...] = ()
    names: tuple[tuple[str, str], ...] = ()  # (kind, name) of every object that has one


@dataclass(frozen=True, slots=True)
class Script:
    """A revision as it is written, and the SQL that it emits."""

    id: str
    file: str  # its name
    source: str
    statements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is judged of one target."""

    target: str
    tables: tuple[Table, ...] = ()
    code: tuple[Code, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    scripts: tuple[Script, ...] = ()
    hazards: tuple[Hazard, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """A finding that is meant to be: `object` is its table, table.column, function or revision."""

    rule: str
    object: str
    reason: str


@dataclass(frozen=True, slots=True)
class Agreed:
    """What lint.toml of a target says."""

    allowances: tuple[Allowance, ...] = ()
    tenant_columns: tuple[str, ...] = TENANT_COLUMNS
    baseline: str | None = None  # up to this revision, a database is built empty: nobody waits


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that an allowance covers, with the reason."""

    rule: str
    target: str
    object: str
    message: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What squawk said of a statement, and what PostgreSQL showed."""

    revision: str
    number: int
    rule: str
    codes: tuple[str, ...]  # ours that mean the same
    agreed: bool  # one of them was found; otherwise the clone showed none of it


@dataclass(frozen=True, slots=True)
class Linted:
    """What was judged of one target."""

    target: str
    against: str  # history, database, or revisions: then only how they are written was judged
    tables: int
    found: int
    silenced: tuple[Silenced, ...] = ()
    forecast: tuple[Line, ...] = ()  # of the revisions that may meet rows
    squawk: tuple[Opinion, ...] = ()
    hazards: tuple[Hazard, ...] = ()
