"""Roles and memberships: the two properties of every planner, and what the plan says."""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk
from dbops.errors import Refused
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
    Holding,
    Membership,
    Password,
    PasswordKind,
    PasswordState,
    RoleFacts,
    RoleWish,
    SecretWish,
    Session,
)
from dbops.operations.roles.plan import plan_cluster

NAMES = ["app", "App", 'quo"te', "new\nline", "%s", "{}", "{target}", "ü" * 31, "x" * 63, "PUBLIC", "select", "a\\b"]
SECRET = SecretWish(file="/secret", generate=True)

attributes = st.builds(
    Attributes, login=st.booleans(), bypassrls=st.booleans(), inherit=st.booleans(), connection_limit=st.integers(-1, 3)
)
readable = [PasswordState.MATCHES, PasswordState.DIFFERS, PasswordState.NOT_DECLARED]
passwords = st.sampled_from(
    [Password(kind, state) for kind in (PasswordKind.SCRAM, PasswordKind.MD5, PasswordKind.NONE) for state in readable]
    + [Password(PasswordKind.UNKNOWN, PasswordState.UNKNOWN)]
)


@st.composite
def clusters(draw: st.DrawFn) -> ClusterFacts:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    roles = [
        RoleFacts(n, draw(attributes), draw(st.sampled_from([None, "", "told", "o'ther"])), draw(passwords))
        for n in names
    ]
    # a membership only ever points back in the list, so that there is no circle, as in every real cluster
    edges = [Membership(names[a], names[b]) for b in range(len(names)) for a in range(b) if draw(st.booleans())]
    holdings = [Holding(n, "db", draw(st.integers(0, 1)), 1) for n in names if draw(st.booleans())]
    return ClusterFacts("postgres", 150000, tuple(roles), tuple(sorted(edges)), (), tuple(holdings))


@st.composite
def wishes(draw: st.DrawFn) -> ClusterWish:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    roles: list[RoleWish] = []
    for name in names:
        if draw(st.integers(0, 4)) == 0:
            roles.append(RoleWish(name, absent=True))
            continue
        above = [other.name for other in roles if not other.absent and draw(st.booleans())]
        secret = draw(st.sampled_from([None, SECRET]))
        comment = draw(st.sampled_from([None, "", "told"]))
        roles.append(RoleWish(name, False, draw(attributes), tuple(sorted(above)), secret, comment))
    return ClusterWish("main", tuple(sorted(roles, key=lambda role: role.name)))


def after(facts: ClusterFacts, actions: Iterable[ClusterAction]) -> ClusterFacts:
    """Model a cluster: what each action makes of it, and what PostgreSQL would refuse."""
    for action in actions:
        facts = _after(facts, action)
    return facts


def _after(facts: ClusterFacts, action: ClusterAction) -> ClusterFacts:
    def changed(name: str, **new: object) -> ClusterFacts:
        assert facts.role(name) is not None
        return replace(facts, roles=tuple(replace(r, **new) if r.name == name else r for r in facts.roles))

    match action:
        case CreateRole():
            assert facts.role(action.name) is None
            return replace(facts, roles=(*facts.roles, RoleFacts(action.name, action.attributes)))
        case AlterRole():
            return changed(action.name, attributes=action.new)
        case SetPassword():
            return changed(action.name, password=Password(PasswordKind.SCRAM, PasswordState.MATCHES))
        case CommentRole():
            return changed(action.name, comment=action.comment or None)
        case AddMember():
            assert facts.role(action.role)
            assert facts.role(action.member)
            assert not reaches(facts.memberships, action.role, action.member), "PostgreSQL refuses circles"
            return replace(facts, memberships=(*facts.memberships, Membership(action.role, action.member)))
        case RemoveMember():
            gone = Membership(action.role, action.member)
            assert gone in facts.memberships
            return replace(facts, memberships=tuple(m for m in facts.memberships if m != gone))
        case ReleaseRole():
            left = tuple(h for h in facts.holdings if (h.role, h.database) != (action.name, action.database))
            return replace(facts, holdings=left)
        case DropRole():
            assert not [h for h in facts.holdings if h.role == action.name], "PostgreSQL refuses: something hangs on it"
            return replace(
                facts,
                roles=tuple(r for r in facts.roles if r.name != action.name),
                memberships=tuple(m for m in facts.memberships if action.name not in (m.role, m.member)),
            )
        case _:
            assert_never(action)


def reaches(edges: tuple[Membership, ...], start: str, end: str) -> bool:
    return start == end or any(reaches(edges, edge.role, end) for edge in edges if edge.member == start)


def planned(facts: ClusterFacts, wish: ClusterWish) -> list[ClusterAction] | None:
    """Plan, or none where a circle through roles that nobody declared makes the wish impossible."""
    try:
        return [step.action for step in plan_cluster(facts, wish).steps]
    except Refused:
        return None


@given(clusters(), wishes())
def test_a_finished_plan_leaves_nothing_to_do(facts: ClusterFacts, wish: ClusterWish) -> None:
    actions = planned(facts, wish)
    if actions is not None:
        assert planned(after(facts, actions), wish) == []


@given(clusters(), wishes())
def test_every_prefix_of_a_plan_can_be_continued(facts: ClusterFacts, wish: ClusterWish) -> None:
    actions = planned(facts, wish) or []
    for cut in range(len(actions)):
        rest = planned(after(facts, actions[:cut]), wish)
        assert rest is not None
        assert set(rest) == set(actions[cut:])


@given(clusters(), wishes())
def test_roles_that_nobody_declared_stay_as_they_are(facts: ClusterFacts, wish: ClusterWish) -> None:
    then = after(facts, planned(facts, wish) or [])
    for role in facts.roles:
        if wish.role(role.name) is None:
            assert then.role(role.name) == role
    for edge in facts.memberships:
        member, above = wish.role(edge.member), wish.role(edge.role)
        if member is None and not (above is not None and above.absent):
            assert edge in then.memberships


@given(clusters(), wishes())
def test_step_ids_are_unique_and_every_line_is_one_line(facts: ClusterFacts, wish: ClusterWish) -> None:
    try:
        steps = plan_cluster(facts, wish).steps
    except Refused:
        return
    assert len({step.id for step in steps}) == len(steps)
    for step in steps:
        assert all(line.isprintable() for line in (step.id, step.summary, *step.notes))


def test_whatever_takes_something_away_blocks_and_lists_who_is_connected() -> None:
    web = Session("svc", "shop", "web", "10.0.0.7", 3)
    facts = ClusterFacts(
        "postgres",
        150000,
        (RoleFacts("svc", Attributes(login=True, bypassrls=True)), RoleFacts("app"), RoleFacts("old")),
        (Membership("app", "svc"), Membership("old", "svc")),
        (web,),
    )
    wish = ClusterWish(
        "main", (RoleWish("app"), RoleWish("old", absent=True), RoleWish("svc", False, Attributes(login=True)))
    )
    steps = {type(step.action): step for step in plan_cluster(facts, wish).steps}
    for kind in (AlterRole, RemoveMember, DropRole):
        assert steps[kind].risk is Risk.BLOCKS
        assert any("3 connections" in note and "web from 10.0.0.7" in note for note in steps[kind].notes), steps[kind]


def test_what_is_added_comes_before_what_is_taken_away() -> None:
    facts = ClusterFacts(
        "postgres", 150000, (RoleFacts("a"), RoleFacts("b"), RoleFacts("svc")), (Membership("a", "svc"),)
    )
    wish = ClusterWish("main", (RoleWish("a"), RoleWish("b"), RoleWish("svc", member_of=("b",))))
    assert planned(facts, wish) == [AddMember("b", "svc"), RemoveMember("a", "svc")]


def test_a_membership_ends_for_each_of_its_grantors_where_they_count() -> None:
    """Since 16 a REVOKE takes back only what the named grantor gave."""
    edge = Membership("a", "svc", by=("boss", "postgres"))
    facts = ClusterFacts("postgres", 160000, (RoleFacts("a"), RoleFacts("svc")), (edge,))
    [step] = plan_cluster(facts, ClusterWish("main", (RoleWish("svc"),))).steps
    assert [s.shown() for s in step.statements] == [
        "REVOKE a FROM svc GRANTED BY boss",
        "REVOKE a FROM svc GRANTED BY postgres",
    ]


def test_a_membership_is_turned_round_without_a_circle() -> None:
    facts = ClusterFacts("postgres", 150000, (RoleFacts("a"), RoleFacts("b")), (Membership("a", "b"),))
    wish = ClusterWish("main", (RoleWish("a", member_of=("b",)), RoleWish("b")))
    assert planned(facts, wish) == [RemoveMember("a", "b"), AddMember("b", "a")]


def test_a_circle_through_an_undeclared_role_is_refused() -> None:
    facts = ClusterFacts("postgres", 150000, (RoleFacts("a"), RoleFacts("u")), (Membership("a", "u"),))
    with pytest.raises(Refused, match="already its member"):
        plan_cluster(facts, ClusterWish("main", (RoleWish("a", member_of=("u",)),)))


def test_a_role_that_still_owns_something_is_not_dropped() -> None:
    facts = ClusterFacts("postgres", 150000, (RoleFacts("old"),), holdings=(Holding("old", "shop", 2, 1),))
    assert planned(facts, ClusterWish("main", (RoleWish("old", absent=True),))) == []


def test_a_role_that_only_holds_privileges_is_released_and_dropped() -> None:
    facts = ClusterFacts("postgres", 150000, (RoleFacts("old"),), holdings=(Holding("old", "shop", 0, 1),))
    assert planned(facts, ClusterWish("main", (RoleWish("old", absent=True),))) == [
        ReleaseRole("old", "shop"),
        DropRole("old"),
    ]


def test_a_password_that_cannot_be_read_is_not_overwritten() -> None:
    unknown = Password(PasswordKind.UNKNOWN, PasswordState.UNKNOWN, "not readable")
    facts = ClusterFacts("postgres", 150000, (RoleFacts("svc", password=unknown),))
    assert planned(facts, ClusterWish("main", (RoleWish("svc", secret=SECRET),))) == []


def test_a_right_password_stored_as_md5_is_set_anew() -> None:
    facts = ClusterFacts(
        "postgres", 150000, (RoleFacts("svc", password=Password(PasswordKind.MD5, PasswordState.MATCHES)),)
    )
    [action] = planned(facts, ClusterWish("main", (RoleWish("svc", secret=SECRET),))) or []
    assert action == SetPassword("svc", SECRET)


@pytest.mark.parametrize(
    "wish",
    [
        RoleWish("boss", absent=True),
        RoleWish("boss", False, Attributes(login=True)),
        RoleWish("boss", False, Attributes(superuser=True)),
    ],
)
def test_the_administrator_is_never_made_powerless_by_its_own_hand(wish: RoleWish) -> None:
    facts = ClusterFacts("boss", 150000, (RoleFacts("boss", Attributes(login=True, superuser=True)),))
    with pytest.raises(Refused, match="connected as boss"):
        plan_cluster(facts, ClusterWish("main", (wish,)))


def test_a_membership_in_a_role_that_is_nowhere_is_refused() -> None:
    with pytest.raises(Refused, match="neither declared nor there"):
        plan_cluster(ClusterFacts("postgres", 150000), ClusterWish("main", (RoleWish("a", member_of=("typo",)),)))
