"""The configuration files of pgBackRest: read, extended, and nothing of it lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.stores.pgbackrest.configuration import Setting, effective, extended, parse, redacted

_NAMES = st.sampled_from(["repo1-path", "repo2-path", "process-max", "pg1-path"])
_SECTIONS = st.sampled_from(["global", "main", "global:restore", "main:backup"])
_VALUES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1).filter(
    lambda text: text == text.strip() and len(text.splitlines()) == 1
)
_SETTINGS = st.lists(st.builds(Setting, _SECTIONS, _NAMES, _VALUES), max_size=6)
_LINES = st.lists(
    st.sampled_from(["# a remark", "", "[global]", "[main]", "repo1-path=/a", "process-max = 3", "pgbackrest backup"])
)


@given(_LINES, _SETTINGS)
def test_what_was_set_is_read_back_and_every_other_line_stays(lines: list[str], settings: list[Setting]) -> None:
    text = extended("\n".join(lines), settings)
    last = {(one.section, one.name): one.value for one in settings}
    for section in parse(text):
        for (of, name), value in last.items():
            if of == section.name:
                assert [told for option, told in section.options if option == name] == [value]
    assert extended(text, settings) == text
    assert [line for line in text.splitlines() if line.startswith("# ")] == [x for x in lines if x.startswith("# ")]


def test_the_nearest_section_decides() -> None:
    sections = parse("[global]\na=1\nb=1\n[global:backup]\na=2\nb=2\n[main]\na=3\n[main:backup]\na=4\n[other]\na=9\n")
    assert effective(sections, "main", "a") == "3"
    assert effective(sections, "main", "a", "backup") == "4"
    assert effective(sections, "main", "b") == "1"
    assert effective(sections, "main", "b", "backup") == "2"
    assert effective(sections, "main", "c") is None


def test_secrets_are_taken_out_and_their_names_stay() -> None:
    sections = parse("[global]\nrepo1-cipher-pass=secret\nrepo2-s3-key=k\nrepo2-s3-key-secret=s\nrepo1-path=/a\n")
    assert dict(redacted(sections)[0].options) == {
        "repo1-cipher-pass": "***",
        "repo2-s3-key": "***",
        "repo2-s3-key-secret": "***",
        "repo1-path": "/a",
    }


@pytest.mark.parametrize("value", ["", "two\nlines", " blank", "blank "])
def test_a_value_that_its_line_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        extended("", [Setting("global", "repo1-path", value)])
