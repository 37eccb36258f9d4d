"""What the configuration means for one cluster and for one database of it; pure."""

from collections.abc import Iterable, Iterator

from dbops.config.fields import Secret, SecretFile
from dbops.config.model import Config, Grant, Role
from dbops.errors import ConfigInvalid
from dbops.operations.roles.facts import Attributes, ClusterWish, DatabaseWish, RoleWish, Rule, SecretWish

TARGET = "{target}"
_LONGEST = 63  # bytes: PostgreSQL cuts longer names silently, so that two could become one


def cluster_wish(config: Config, cluster: str) -> ClusterWish:
    """Expand every role that this cluster is to have (or is not to have any more)."""
    targets = targets_of(config, cluster)
    wished: dict[str, RoleWish] = {}
    for template, role in config.roles.items():
        if role.clusters and cluster not in role.clusters:
            continue
        for name, target in _expanded(template, targets):
            where = f"roles.{template}" + (f" (for {target})" if target else "")
            _acceptable(name, where)
            if name in wished:
                raise ConfigInvalid(f"{where}: the role {name!r} is declared twice", target=cluster)
            wished[name] = _role_wish(name, role, [target] if target else targets)
    _memberships_make_sense(wished, cluster)
    return ClusterWish(cluster, tuple(sorted(wished.values(), key=lambda role: role.name)))


def database_wish(config: Config, target: str) -> DatabaseWish:
    """Tell what every declared role may do in one database."""
    place = config.postgres[target]
    roles = {role.name: role for role in cluster_wish(config, place.cluster).roles}
    owner = _filled(place.owner, target) if place.owner is not None else None
    creators = tuple(dict.fromkeys(_filled(name, target) for name in place.creators))
    grants = [grant for grant in config.grants if not grant.databases or target in grant.databases]
    schemas = tuple(dict.fromkeys(name for grant in grants for name in grant.schemas)) or ("public",)
    rules = [
        Rule(
            to=name,
            database=frozenset({"CONNECT"}),
            schemas=schemas,
            schema=frozenset({"USAGE", "CREATE"}),
        )
        for name in creators
    ]
    rules += [_rule(grant, target) for grant in grants]
    for rule in rules:
        _is_there(rule.to, roles, target, "a grant or creators")
    if owner is not None and owner in roles:
        _is_there(owner, roles, target, "owner")
    return DatabaseWish(
        target=target,
        cluster=place.cluster,
        owner=owner,
        creators=creators,
        managed=frozenset(name for name, role in roles.items() if not role.absent),
        rules=tuple(rules),
    )


def targets_of(config: Config, cluster: str) -> list[str]:
    return [name for name, place in config.postgres.items() if place.cluster == cluster]


def _filled(template: str, target: str) -> str:
    return template.replace(TARGET, target)


def _expanded(template: str, targets: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    if TARGET not in template:
        yield template, None
        return
    for target in targets:
        yield _filled(template, target), target


def _acceptable(name: str, where: str) -> None:
    length = len(name.encode())
    if length > _LONGEST:
        raise ConfigInvalid(
            f"{where}: the name {name!r} has {length} bytes, PostgreSQL keeps {_LONGEST}",
            hint="shorten the template or the target's name",
        )
    if "\0" in name:
        raise ConfigInvalid(f"{where}: a name cannot hold a NUL character")
    if name.startswith("pg_") or name in {"public", "none"}:
        raise ConfigInvalid(f"{where}: PostgreSQL keeps the name {name!r} for itself")


def _role_wish(name: str, role: Role, targets: list[str]) -> RoleWish:
    attributes = Attributes(
        login=role.login,
        superuser=role.superuser,
        createdb=role.createdb,
        createrole=role.createrole,
        inherit=role.inherit,
        replication=role.replication,
        bypassrls=role.bypassrls,
        connection_limit=role.connection_limit,
    )
    of = {full for template in role.member_of for full, _ in _expanded(template, targets)}
    secret = _secret(role.password, targets[0] if len(targets) == 1 else None)
    return RoleWish(name, role.absent, attributes, tuple(sorted(of)), secret, role.comment)


def _secret(secret: Secret | None, target: str | None) -> SecretWish | None:
    if secret is None:
        return None
    if not isinstance(secret, SecretFile):
        return SecretWish(variable=secret)
    file = str(secret.file)
    return SecretWish(file=_filled(file, target) if target else file, generate=secret.generate)


def _memberships_make_sense(wished: dict[str, RoleWish], cluster: str) -> None:
    for role in wished.values():
        for other in role.member_of:
            there = wished.get(other)
            if there is not None and there.absent:
                raise ConfigInvalid(
                    f"roles: {role.name!r} is a member of {other!r}, which is declared absent", target=cluster
                )
        if role.absent and role.member_of:
            raise ConfigInvalid(f"roles: {role.name!r} is absent and a member at once", target=cluster)
        if role.name in _reachable(role.name, wished):
            raise ConfigInvalid(f"roles: {role.name!r} is, by way of member_of, its own member", target=cluster)


def _reachable(name: str, wished: dict[str, RoleWish]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        role = wished.get(todo.pop())
        new = set(role.member_of) - found if role is not None else set[str]()
        found |= new
        todo += new
    return found


def _rule(grant: Grant, target: str) -> Rule:
    new_tables = grant.tables if grant.new_tables is None else grant.new_tables
    return Rule(
        to=_filled(grant.to, target),
        database=_with("CONNECT", grant.database),
        schemas=grant.schemas,
        schema=_with("USAGE", grant.schema_),
        tables=frozenset(grant.tables),
        append_only=grant.append_only,
        new_tables=frozenset(new_tables),
        sequences=frozenset(grant.sequences),
        functions=frozenset(grant.functions),
        row_secured_views=grant.row_secured_views,
    )


def _with(implied: str, told: Iterable[str]) -> frozenset[str]:
    """Whoever may do more may enter; an empty list means that it may not even enter."""
    return frozenset({implied, *told}) if told else frozenset()


def _is_there(name: str, roles: dict[str, RoleWish], target: str, where: str) -> None:
    role = roles.get(name)
    if role is None or role.absent:
        why = "is declared absent" if role else "is not declared for its cluster"
        raise ConfigInvalid(f"{target}: {where} names the role {name!r}, which {why}", target=target)
