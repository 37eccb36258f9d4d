"""What the configuration means: templates, names, grantees."""

from typing import Any

import pytest

from dbops.config.model import Config
from dbops.errors import ConfigInvalid
from dbops.operations.roles.facts import SecretWish
from dbops.operations.roles.wish import cluster_wish, database_wish


def config(roles: dict[str, Any], *grants: dict[str, Any], **postgres: dict[str, Any]) -> Config:
    targets = postgres or {"shop": {}, "audit": {}}
    return Config.model_validate(
        {
            "platform": {"name": "test"},
            "cluster": {"main": {"dsn": "host=/x"}, "other": {"dsn": "host=/y"}},
            "postgres": {name: {"cluster": "main", "dsn": f"dbname={name}"} | more for name, more in targets.items()},
            "roles": roles,
            "grants": list(grants),
        }
    )


def test_a_template_makes_one_role_for_each_database_with_a_secret_of_its_own() -> None:
    wish = cluster_wish(
        config(
            {
                "{target}": {},
                "{target}_a": {
                    "login": True,
                    "member_of": ["{target}", "pg_monitor"],
                    "password": {"file": "/secrets/{target}_a", "generate": True},
                },
            }
        ),
        "main",
    )
    assert [role.name for role in wish.roles] == ["audit", "audit_a", "shop", "shop_a"]
    shop = wish.role("shop_a")
    assert shop is not None
    assert shop.member_of == ("pg_monitor", "shop")
    assert shop.secret == SecretWish(file="/secrets/shop_a", generate=True)


def test_a_plain_role_may_be_a_member_of_every_database_s_role() -> None:
    wish = cluster_wish(config({"{target}": {}, "all": {"member_of": ["{target}"]}}), "main")
    everything = wish.role("all")
    assert everything is not None
    assert everything.member_of == ("audit", "shop")


def test_a_cluster_without_databases_has_no_roles_of_databases() -> None:
    wish = cluster_wish(config({"{target}": {}, "all": {}, "here": {"clusters": ["main"]}}), "other")
    assert [role.name for role in wish.roles] == ["all"]


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"{target}" + "x" * 55: {}}, "64 bytes"),
        ({"ü" * 32: {}}, "64 bytes"),
        ({"{target}": {}, "shop": {}}, "declared twice"),
        ({"pg_mine": {}}, "keeps the name"),
        ({"public": {}}, "keeps the name"),
        ({"nul\0": {}}, "NUL"),
        ({"a": {"member_of": ["b"]}, "b": {"absent": True}}, "declared absent"),
        ({"a": {"member_of": ["b"]}, "b": {"member_of": ["a"]}}, "its own member"),
        ({"a": {"absent": True, "member_of": ["b"]}, "b": {}}, "a member at once"),
    ],
)
def test_what_no_cluster_could_have_is_a_clear_error(roles: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        cluster_wish(config(roles, shop={}, warehouse={}), "main")


def test_a_name_of_exactly_63_bytes_and_hostile_letters_is_fine() -> None:
    names: dict[str, Any] = {"{target}" + "x" * 55: {}, 'quo"te {} %s \n': {}}
    wish = cluster_wish(config(names, customer={}), "main")
    assert [len(role.name) for role in wish.roles] == [63, 14]


def test_a_grant_means_what_it_says_in_each_database() -> None:
    it = config(
        {"{target}": {}, "maker": {}, "gone": {"absent": True}},
        {"to": "{target}", "tables": ["SELECT"], "schemas": ["public", "extra"], "databases": ["shop"]},
        {"to": "maker", "database": [], "schema": []},
        shop={"owner": "{target}_owner", "creators": ["maker"]},
        audit={},
    )
    shop, audit = database_wish(it, "shop"), database_wish(it, "audit")
    assert shop.owner == "shop_owner"
    assert shop.managed == {"shop", "audit", "maker"}
    creator, rule, empty = shop.rules
    assert (creator.to, creator.schemas, creator.schema) == ("maker", ("public", "extra"), {"USAGE", "CREATE"})
    assert (rule.to, rule.database, rule.schema, rule.new_tables) == ("shop", {"CONNECT"}, {"USAGE"}, {"SELECT"})
    assert not empty.database
    assert not empty.schema
    assert [rule.to for rule in audit.rules] == ["maker"]


@pytest.mark.parametrize(
    ("grants", "shop"),
    [
        ([{"to": "typo"}], {}),
        ([{"to": "gone"}], {}),
        ([], {"creators": ["typo"]}),
        ([], {"owner": "gone"}),
        ([{"to": "elsewhere"}], {}),
    ],
)
def test_a_grantee_that_is_not_declared_here_is_an_error(grants: list[dict[str, Any]], shop: dict[str, Any]) -> None:
    it = config({"gone": {"absent": True}, "elsewhere": {"clusters": ["other"]}}, *grants, shop=shop)
    with pytest.raises(ConfigInvalid, match=r"shop: .* names the role"):
        database_wish(it, "shop")
