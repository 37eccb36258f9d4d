"""How a stream of COPY is cut into lines: never within one, whatever blocks it comes in."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dbops.copies import rows
from dbops.copies.digest import Digest

lines = st.lists(st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n") + b"\n"), max_size=30)
cuts = st.lists(st.integers(0, 1500), max_size=8)


@given(lines, cuts)
def test_the_digest_does_not_depend_on_how_a_stream_is_cut(written: list[bytes], at: list[int]) -> None:
    whole = b"".join(written)
    edges = sorted({0, len(whole), *(min(edge, len(whole)) for edge in at)})
    blocks = [whole[a:b] for a, b in pairwise(edges)]
    wanted = Digest()
    wanted.update(written)
    assert rows.digest_of(blocks) == wanted


@given(lines, st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_rows(written: list[bytes], chance: Random) -> None:
    shuffled = sorted(written, key=lambda _: chance.random())
    assert rows.digest_of(shuffled) == rows.digest_of(written)


def test_a_line_that_is_longer_than_a_block_stays_one_line() -> None:
    long = b"x" * (3 << 20) + b"\n"
    blocks = [long[at : at + 100_000] for at in range(0, len(long), 100_000)]
    wanted = Digest()
    wanted.update([b"a\n", long, b"b\n"])
    assert rows.digest_of([b"a\n", *blocks, b"b\n"]) == wanted


def test_rows_that_came_twice_do_not_cancel_each_other() -> None:
    assert rows.digest_of([b"a\n", b"b\n", b"b\n"]) != rows.digest_of([b"a\n"])


def test_a_value_that_moved_to_the_next_line_is_another_content() -> None:
    assert rows.digest_of([b"a\tb\n", b"c\n"]) != rows.digest_of([b"a\n", b"b\tc\n"])
