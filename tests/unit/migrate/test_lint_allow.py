"""lint.toml: what it may say, and what is told where it is wrong."""

from pathlib import Path

import pytest

from dbops.errors import ConfigInvalid
from dbops.operations.migrate.lint import allow
from dbops.operations.migrate.lint.facts import TENANT_COLUMNS, Agreed, Allowance

from migrating import FOLDER, TARGETS


def read(folder: Path, text: str) -> Agreed:
    (folder / "lint.toml").write_text(text)
    return allow.read(folder / "lint.toml", "shop")


def test_without_a_file_nothing_is_allowed(tmp_path: Path) -> None:
    assert allow.read(tmp_path / "lint.toml", "shop") == Agreed()


def test_several_objects_share_a_reason(tmp_path: Path) -> None:
    told = '[[allow]]\nrule = "DBM203"\nobject = ["a", "b"]\nreason = """\nsold_at\n  tells it"""\n'
    reason = "sold_at tells it"
    assert read(tmp_path, told).allowances == (Allowance("DBM203", "a", reason), Allowance("DBM203", "b", reason))
    assert read(tmp_path, told).tenant_columns == TENANT_COLUMNS


def test_the_columns_of_tenants_have_other_names_elsewhere(tmp_path: Path) -> None:
    assert read(tmp_path, 'tenant_columns = ["shop_id"]').tenant_columns == ("shop_id",)


def test_a_baseline_is_a_revision(tmp_path: Path) -> None:
    assert read(tmp_path, 'baseline = "2026_11_20_0100"').baseline == "2026_11_20_0100"
    assert read(tmp_path, 'tenant_columns = ["a"]').baseline is None
    with pytest.raises(ConfigInvalid, match="baseline has to be a revision"):
        read(tmp_path, "baseline = 1")


def test_a_reason_may_be_missing_here_for_the_check_tells_it(tmp_path: Path) -> None:
    assert read(tmp_path, '[[allow]]\nrule = "DBM203"\nobject = "a"\n').allowances == (Allowance("DBM203", "a", ""),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("allow = [", "lint.toml: "),
        ('[allow]\nrule = "DBM203"', "has to be \\[\\[allow\\]\\]"),
        ("allow = [1]", "\\[\\[allow\\]\\] 1 is no table"),
        ('[[allow]]\nrule = "DBM203"\nreason = "x"', "1: object has to be"),
        ('[[allow]]\nobject = "a"', "rule and reason are texts"),
        ('[[allow]]\nrule = "DBM203"\nobject = "a"\nwhy = "x"', "why is no key"),
        ('[[allow]]\nrule = "DBM203"\nobject = []', "object has to be"),
        ('tenant_columns = "shop_id"', "tenant_columns has to be"),
        ("tenants = []", "tenants is no key"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigInvalid, match=told):
        read(tmp_path, text)


@pytest.mark.parametrize("target", TARGETS)
def test_each_of_the_platforms_allowances_has_a_reason(target: str) -> None:
    agreed = allow.read(FOLDER / "postgres" / target / "lint.toml", target)
    assert agreed.allowances
    assert all(len(one.reason.split()) > 2 for one in agreed.allowances)
