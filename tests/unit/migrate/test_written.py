"""The text of the revision that contracts: the same each time, whole in itself, readable."""

import ast
from typing import Any

import pytest

from dbops.operations.migrate.contract import written

_SOURCE = '''"""Rename users.name.

More about it.
"""

from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New

revision = "2026_11_21_0900"
down_revision: str | None = "2026_11_20_0400"
change = "users-full-name"
phase = "expand"
impact = "none"

# old clients go on
OLD = ("name",)


class Own:
    """A class of the revision's own."""


shape = Columns(
    table="public.users",
    old=OLD,  # as it was
)


def upgrade() -> None:
    """Put the new beside the old."""
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
'''


def text(source: str = _SOURCE, **other: Any) -> str:
    told = {"change": "users-full-name", "expand": "2026_11_21_0900", "behind": "2026_11_22_0100"}
    rest = {"phase": "contract", "about": "Contract users-full-name: Rename users.name", "impact": 'a "quoted" \\ one'}
    return written.text(source, **{**told, **rest, **other})


def test_it_repeats_the_head_and_the_shape_and_nothing_of_the_expansion() -> None:
    found = text()
    assert found == text()
    assert '# old clients go on\nOLD = ("name",)' in found
    assert "    old=OLD,  # as it was\n" in found
    assert "changes.contract(change, shape)" in found
    assert "changes.no_way_back(change)" in found
    assert "expand(" not in found
    lines = found.splitlines()
    assert 'revision = "2026_11_21_0900_contract"' in lines
    assert 'down_revision = "2026_11_22_0100"' in lines
    assert 'phase = "contract"' in lines
    [impact] = [line.removeprefix("impact = ") for line in lines if line.startswith("impact")]
    assert ast.literal_eval(impact) == 'a "quoted" \\ one'
    assert (ast.get_docstring(ast.parse(found)) or "").startswith("Contract users-full-name: Rename users.name.\n")


def test_what_was_told_is_kept_whatever_signs_it_has() -> None:
    odd = 'say "it\'s"\r\n\t""" 100% \\'
    found = ast.parse(text(about=r'Rename "N\new\x" """', impact=odd))
    assert (ast.get_docstring(found) or "").startswith('Rename "N\\new\\x" """.')
    [impact] = [
        one.value for one in found.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "impact"
    ]
    assert ast.literal_eval(impact) == odd


def test_a_long_id_is_cut_to_what_alembic_can_store() -> None:
    identity = written.revision_id("a_revision_with_quite_a_long_name", "contract")
    assert len(identity) <= 32
    assert identity == written.revision_id("a_revision_with_quite_a_long_name", "contract")
    assert identity != written.revision_id("a_revision_with_quite_a_long_nama", "contract")


@pytest.mark.parametrize("imported", ["", "import sqlalchemy as sa\n"])
def test_what_it_calls_is_imported(imported: str) -> None:
    found = text(f'{imported}revision = "x"\nchange = "c"\nshape = 1\n')
    assert "from dbops.operations.migrate import changes\n" in found
    compile(found, "revision", "exec")
