"""The JSON of `repo-ls`, read without an object for each file, and read at all."""

import pytest

from dbops.errors import CouldNotVerify
from dbops.stores.pgbackrest.files import listed

_FILE = b'"15-1/A.zst":{"type":"file","size":704,"time":1795204480}'
_OTHER = b'"archive.info":{"type":"file","size":1,"time":2}'


def test_files_are_listed_and_folders_are_not() -> None:
    raw = b'{".":{"type":"path"},' + _FILE + b',"15-1":{"type":"path"},' + _OTHER + b"}\n"
    assert listed(raw) == [("15-1/A.zst", 704, 1795204480), ("archive.info", 1, 2)]


def test_nothing_is_nothing() -> None:
    assert listed(b"") == listed(b"{}") == listed(b"{}\n") == []


def test_what_looks_otherwise_is_read_as_any_json() -> None:
    escaped = b'{"a\\u0041\\"":{"type":"file","size":1,"time":2}}'
    assert listed(escaped) == [('aA"', 1, 2)]
    link = b'{"latest":{"type":"link","destination":"x"},' + _FILE + b"}"
    assert listed(link) == [("15-1/A.zst", 704, 1795204480)]
    other_order = b'{"a":{"size":1,"time":2,"type":"file"}}'
    assert listed(other_order) == [("a", 1, 2)]
    assert listed('{"ä":{"type":"file","size":1,"time":2}}'.encode()) == [("ä", 1, 2)]


def test_a_listing_that_was_cut_off_is_no_listing() -> None:
    whole = b"{" + _FILE + b"," + _OTHER + b"}"
    for cut in range(2, len(whole)):
        with pytest.raises(CouldNotVerify):
            listed(whole[:cut])
