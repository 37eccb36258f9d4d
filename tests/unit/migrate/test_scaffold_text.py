"""Files of revisions as text: they hold whatever was typed, and read as our formatter would have them."""

import ast
import subprocess
import sys
import warnings

import pytest

from dbops.errors import UsageError
from dbops.operations.migrate.scaffold import kinds, text
from dbops.operations.migrate.scaffold.facts import Draft, Known, Wanted

ODD = (
    'a"b', "it's", """'"'""", '"""', r"back\slash \N \x", "line\nand\ttab\r", "100% %s {x} {rows} :name $$",
    "Ünï 名前 \x85",
    "ü" * 31, "-- why", "/* c */",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_a_text_is_what_was_typed(odd: str) -> None:
    assert ast.literal_eval(text.text(odd)) == odd


def written(odd: str) -> str:
    every = {f"{odd}{number}": f"r.{odd} || '{odd}'" for number in range(4)}
    carried = [f"Index({text.text(odd)}, {text.text(odd * 12)}, definition={text.text(odd * 9)})"] * 2
    shape = text.call(
        "Columns",
        {"table": text.text(odd), "old": text.tuple_of([text.text(odd)]), "up": text.mapping(every)}
        | {"carry": text.lines_of(carried)},
    )
    draft = Draft(shape, (), f'"{odd}" to {odd}', (f"Not carried over: {odd}",))
    return text.revision(Wanted("t", "c", odd), draft, id="a", after=None)


@pytest.mark.parametrize("odd", ODD)
def test_a_file_tells_odd_names_as_they_are(odd: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an escape that Python does not know is a mistake of tomorrow
        found = ast.parse(written(odd))
    assert f"Not carried over: {odd}".splitlines()[0] in (ast.get_docstring(found, clean=False) or "")


def test_files_are_laid_out_as_our_formatter_would() -> None:
    for odd in ODD:
        file = written(odd)
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "-"],
            input=file, text=True, encoding="utf-8", capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout == file


def test_a_table_with_a_dot_in_its_name_is_replaced_in_its_schema() -> None:
    wanted = Wanted("t", "c", "i", table='"Odd. Schema"."Tab.le"', to=('"Tab.v2"',))
    found = kinds.named("replace-table").write(wanted, Known())
    assert """by='"Odd. Schema"."Tab.v2"',""" in found.shape
    assert found.about == 'replace "Tab.le"'


@pytest.mark.parametrize(
    ("kind", "name"), [("rename-table", "New one"), ("replace-table", "it's"), ("rename-table", '"a"b"')]
)
def test_the_new_name_of_a_table_is_one(kind: str, name: str) -> None:
    with pytest.raises(UsageError, match="is no name as SQL has it") as refused:
        kinds.named(kind).write(Wanted("t", "c", "i", table="users", to=(name,)), Known())
    assert "with the quotes" in str(refused.value.hint)
