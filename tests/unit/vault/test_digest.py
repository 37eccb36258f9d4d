"""A digest of records in any order."""

from hypothesis import given
from hypothesis import strategies as st

from dbops.copies.digest import Digest, parse

records = st.lists(st.binary(max_size=20), max_size=12)


def digest_of(found: list[bytes]) -> Digest:
    digest = Digest()
    digest.update(found)
    return digest


@given(records, st.randoms())
def test_the_order_of_records_does_not_matter(found: list[bytes], chance: object) -> None:
    shuffled = sorted(found, key=lambda record: record[::-1])
    assert digest_of(shuffled) == digest_of(found)


@given(records, st.binary(max_size=20))
def test_one_more_record_makes_another_digest_even_if_it_is_there_twice(found: list[bytes], record: bytes) -> None:
    assert len({str(digest_of([*found, *[record] * times])) for times in range(4)}) == 4


@given(records, records)
def test_what_workers_have_summed_up_can_be_joined_and_continued(first: list[bytes], second: list[bytes]) -> None:
    joined = digest_of(first) + digest_of(second)
    continued = parse(str(digest_of(first)))
    for record in second:
        continued.add(record)
    assert joined == continued == digest_of(first + second)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=12), st.data())
def test_a_changed_record_changes_the_digest(found: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(found) - 1))
    changed = [*found[:at], found[at] + b"!", *found[at + 1 :]]
    assert digest_of(changed) != digest_of(found)
