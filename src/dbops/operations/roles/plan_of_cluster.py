"""Roles, passwords and memberships of a cluster; pure. Roles that nobody declared are never touched."""

from collections.abc import Iterable, Iterator

from dbops.engine.plan import Plan, Risk, Step
from dbops.errors import Refused
from dbops.operations.roles import sql
from dbops.operations.roles.actions import (
    AddMember,
    AlterRole,
    ClusterAction,
    CommentRole,
    CreateRole,
    DropRole,
    ReleaseRole,
    RemoveMember,
    SetPassword,
)
from dbops.operations.roles.facts import (
    Attributes,
    ClusterFacts,
    ClusterWish,
    Membership,
    PasswordKind,
    PasswordState,
    RoleFacts,
    RoleWish,
    SecretWish,
)
from dbops.operations.roles.words import connections, one_line, told

ClusterStep = Step[ClusterAction]


def plan_cluster(facts: ClusterFacts, wish: ClusterWish) -> Plan[ClusterAction]:
    """Give before taking: nobody who is to keep a right is without it for a moment."""
    _keep_the_branch_we_sit_on(facts, wish)
    steps = [step for role in wish.roles if not role.absent for step in _role_steps(facts, facts.role(role.name), role)]
    steps.sort(key=lambda step: isinstance(step.action, SetPassword) + 2 * isinstance(step.action, CommentRole))
    steps += _membership_steps(facts, wish)
    steps += [step for role in wish.roles if role.absent for step in _drop_steps(facts, role.name)]
    return Plan(wish.cluster, "roles and memberships", tuple(steps))


def _keep_the_branch_we_sit_on(facts: ClusterFacts, wish: ClusterWish) -> None:
    own, wished = facts.role(facts.connected_as), wish.role(facts.connected_as)
    if own is None or wished is None:
        return
    lost = [
        word
        for word in ("login", "superuser", "createrole")
        if getattr(own.attributes, word) and not getattr(wished.attributes, word)
    ]
    # createrole says nothing about a superuser
    lost = [word for word in lost if word != "createrole" or not wished.attributes.superuser]
    if wished.absent or lost:
        raise Refused(
            f"dbops is connected as {told(facts.connected_as)}, and the configuration would "
            + ("drop that role" if wished.absent else f"take {' and '.join(lost)} from it"),
            hint=f"declare those attributes in [roles.{told(facts.connected_as)}], or connect as another role",
            target=wish.cluster,
        )


def _role_steps(facts: ClusterFacts, have: RoleFacts | None, want: RoleWish) -> Iterator[ClusterStep]:
    name = told(want.name)
    if have is None:
        yield Step(
            f"create role {name}",
            f"create role {name}{_options(want.attributes, Attributes())}",
            CreateRole(want.name, want.attributes),
            statements=(sql.create_role(want.name, want.attributes),),
        )
    elif have.attributes != want.attributes:
        yield _alter(facts, have, want)
    if want.secret is not None and _needs_password(have):
        yield _password(facts, have, want.name, want.secret)
    if want.comment is not None and want.comment != (have.comment or "" if have else ""):
        yield Step(
            f"comment role {name}",
            f"comment role {name}: {one_line(want.comment)}",
            CommentRole(want.name, want.comment),
            statements=(sql.comment_role(want.name, want.comment),),
        )


def _options(new: Attributes, old: Attributes) -> str:
    words = sql.role_options(new, old)
    return f" ({words.lower()})" if words else ""


def _alter(facts: ClusterFacts, have: RoleFacts, want: RoleWish) -> ClusterStep:
    old, new = have.attributes, want.attributes
    takes = any(getattr(old, word) and not getattr(new, word) for word in sql.ATTRIBUTES) or (
        new.connection_limit >= 0 and not 0 <= old.connection_limit <= new.connection_limit
    )
    return Step(
        f"alter role {told(want.name)}",
        f"alter role {told(want.name)}:{_options(new, old)}",
        AlterRole(want.name, new, old),
        Risk.BLOCKS if takes else Risk.SAFE,
        (sql.alter_role(want.name, new, old),),
        (_connections(facts, want.name),) if takes else (),
    )


def _needs_password(have: RoleFacts | None) -> bool:
    if have is None:
        return True
    if PasswordKind.UNKNOWN is have.password.kind or PasswordState.UNKNOWN is have.password.state:
        return False  # told as a finding: what cannot be compared is not overwritten
    return have.password.kind is not PasswordKind.SCRAM or have.password.state is not PasswordState.MATCHES


def _password(facts: ClusterFacts, have: RoleFacts | None, name: str, secret: SecretWish) -> ClusterStep:
    notes = [f"a SCRAM-SHA-256 verifier is computed here from {one_line(secret.told)}; no password is sent"]
    if secret.file in facts.missing_secrets:
        notes.append(f"a new random secret is written to {one_line(secret.told)} first (mode 0600)")
    replaces = (
        have is not None
        and have.password.state is PasswordState.DIFFERS
        and have.password.kind is not PasswordKind.NONE
    )
    if replaces:
        notes += ["the old password stops working for new connections", _connections(facts, name)]
    return Step(
        f"password of role {told(name)}",
        f"set the password of role {told(name)} from {one_line(secret.told)}",
        SetPassword(name, secret),
        Risk.BLOCKS if replaces else Risk.SAFE,
        (sql.set_password(name, "SCRAM-SHA-256$..."),),
        tuple(notes),
    )


def _membership_steps(facts: ClusterFacts, wish: ClusterWish) -> Iterator[ClusterStep]:
    there = {role.name for role in facts.roles} | {role.name for role in wish.roles if not role.absent}
    ours = {role.name for role in wish.roles if not role.absent}
    want = {Membership(other, role.name) for role in wish.roles for other in role.member_of}
    for edge in sorted(want):
        if edge.role not in there:
            raise Refused(
                f"{told(edge.member)} is to be a member of {told(edge.role)}, which is neither declared nor there",
                hint="declare that role, or correct member_of",
                target=wish.cluster,
            )
    have = set(facts.memberships)
    adds, removals = sorted(want - have), sorted(m for m in have - want if m.member in ours)
    first = _in_the_way(have, adds, removals, wish.cluster)
    for edge in first:
        yield _remove(facts, edge)
    for edge in adds:
        yield Step(
            f"add {told(edge.member)} to {told(edge.role)}",
            f"make {told(edge.member)} a member of {told(edge.role)}",
            AddMember(edge.role, edge.member),
            statements=(sql.add_member(edge.role, edge.member),),
        )
    for edge in removals:
        if edge not in first:
            yield _remove(facts, edge)


def _in_the_way(
    have: set[Membership], adds: list[Membership], removals: list[Membership], cluster: str
) -> list[Membership]:
    """Find the memberships that must end before others can begin: PostgreSQL refuses circles."""
    first = [edge for edge in removals if _circle(edge, have | set(adds))]
    after = (have | set(adds)) - set(removals)
    for edge in adds:
        if _circle(edge, after):
            raise Refused(
                f"{told(edge.member)} cannot be a member of {told(edge.role)}, which is already its member",
                hint="the circle leads through a role that is not declared: declare it, or remove its membership",
                target=cluster,
            )
    return first


def _circle(edge: Membership, edges: Iterable[Membership]) -> bool:
    """Tell whether `edge` lies on a circle: whether its role is, by other edges, a member of its member."""
    edges = list(edges)
    found, todo = {edge.role}, [edge.role]
    while todo:
        below = todo.pop()
        new = {other.role for other in edges if other.member == below} - found
        found |= new
        todo += new
    return edge.member in found


def _remove(facts: ClusterFacts, edge: Membership) -> ClusterStep:
    return Step(
        f"remove {told(edge.member)} from {told(edge.role)}",
        f"end the membership of {told(edge.member)} in {told(edge.role)}",
        RemoveMember(edge.role, edge.member, edge.by),
        Risk.BLOCKS,
        sql.remove_member(edge.role, edge.member, edge.by),
        (_connections(facts, edge.member), "takes no lock that a query would feel; the rights end at once"),
    )


def _drop_steps(facts: ClusterFacts, name: str) -> Iterator[ClusterStep]:
    """Drop only what owns nothing: the check tells where it still owns something."""
    holdings = sorted(holding for holding in facts.holdings if holding.role == name)
    if facts.role(name) is None or any(holding.owned for holding in holdings):
        return
    for holding in holdings:
        yield Step(
            f"release {told(name)} in {told(holding.database)}",
            f"take back all privileges of {told(name)} in {told(holding.database)}",
            ReleaseRole(name, holding.database),
            Risk.BLOCKS,
            (sql.release(name),),
            (f"{holding.granted} entries; it owns nothing there", _connections(facts, name)),
        )
    yield Step(
        f"drop role {told(name)}",
        f"drop role {told(name)}",
        DropRole(name),
        Risk.BLOCKS,
        (sql.drop_role(name),),
        (_connections(facts, name), "takes no lock on tables; connections that are open lose every right"),
    )


def _connections(facts: ClusterFacts, role: str) -> str:
    return connections(role, facts.sessions, facts.memberships)
