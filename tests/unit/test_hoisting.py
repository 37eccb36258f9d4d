"""Common options may stand before or after the verb."""

import itertools

import pytest
import typer

from dbops.cli import hoisted
from dbops.cli.options import AskedChange
from dbops.cli.roles import app as roles

GIVEN = [
    ["--config", "x.toml"],
    ["--config=x.toml"],
    ["--output", "json"],
    ["-o", "json"],
    ["--lock-wait", "5m"],
    ["--confirm", "audit"],
    ["--expect-plan", "abc"],
    ["--metrics-file", "x.prom"],
    ["--ping-url-env", "HC"],
    ["--quiet"],
    ["-q"],
    ["--verbose"],
    ["-v"],
    ["--no-color"],
    ["--plan"],
    ["--yes"],
    ["-y"],
    ["--skip-if-running"],
]


def options_of_a_command() -> set[str]:
    """What the roles family's `apply` is given by AskedChange, as the shell sees it."""
    command = typer.main.get_command(roles).commands["apply"]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
    return {
        name
        for parameter in command.params  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if parameter.name in AskedChange.__dataclass_fields__  # pyright: ignore[reportUnknownMemberType]
        for name in parameter.opts  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    }


def test_every_common_option_can_be_hoisted() -> None:
    assert {words[0].partition("=")[0] for words in GIVEN} == options_of_a_command()


@pytest.mark.parametrize("words", GIVEN, ids=" ".join)
def test_an_option_before_the_verb_lands_behind_it(words: list[str]) -> None:
    wanted = ["roles", "apply", *words, "--target", "audit"]
    assert hoisted([*words, "roles", "apply", "--target", "audit"]) == wanted
    assert hoisted(["roles", *words, "apply", "--target", "audit"]) == wanted
    assert hoisted(wanted) == wanted


@pytest.mark.parametrize("pair", list(itertools.permutations(GIVEN[::4], 2)), ids=str)
def test_several_options_keep_their_order(pair: tuple[list[str], list[str]]) -> None:
    first, second = pair
    assert hoisted([*first, "roles", *second, "apply"]) == ["roles", "apply", *first, *second]


def test_a_family_that_is_one_command_takes_them_at_once() -> None:
    assert hoisted(["-q", "status", "--deadline", "2s"]) == ["status", "-q", "--deadline", "2s"]


def test_what_stands_behind_the_verb_is_not_touched() -> None:
    words = ["sandbox", "exec", "--dir", "x", "--", "psql", "--quiet", "-o", "out"]
    assert hoisted(words) == words


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([], []),
        (["--output", "json"], []),
        (["--quiet", "--help"], ["--help"]),
        (["config", "--output", "json"], ["config"]),
        (["--output"], []),
        (["--no-such", "roles"], ["--no-such", "roles"]),
        (["--quiet", "nonsense"], ["nonsense"]),
    ],
    ids=str,
)
def test_without_a_verb_it_is_the_verb_that_is_missing(given: list[str], left: list[str]) -> None:
    assert hoisted(given) == left
