"""Work beside the caller: in order, bounded, and its errors are heard."""

import threading
from collections.abc import Callable, Iterator

import pytest

from dbops.stores.vault.lane import Abandoned, Lane, Pipe, pushed


@pytest.mark.parametrize("count", [0, 1, 4, 5, 200])
def test_work_sees_every_block_in_order(count: int) -> None:
    blocks = [bytes([n]) for n in range(count)]
    lane = Lane(list[bytes])
    for block in blocks:
        lane.put(block)
    assert lane.close() == blocks


def test_few_blocks_start_no_thread() -> None:
    before = threading.active_count()
    lane = Lane(b"".join, depth=4)
    for _ in range(4):
        lane.put(b"1")
    assert threading.active_count() == before
    assert lane.close() == b"1111"


def fails(blocks: Iterator[bytes]) -> None:
    next(blocks)
    raise KeyError("the work")


@pytest.mark.parametrize("count", [1, 50])
def test_an_error_of_the_work_is_raised_where_blocks_are_put_or_at_the_end(count: int) -> None:
    lane = Lane(fails)

    def use() -> None:
        for _ in range(count):
            lane.put(b"1")
        lane.close()

    with pytest.raises(KeyError, match="the work"):
        use()
    lane.abandon()


def test_abandoned_work_meets_abandoned_and_never_a_good_end() -> None:
    ends: list[BaseException | None] = []

    def work(blocks: Iterator[bytes]) -> None:
        try:
            for _ in blocks:
                pass
            ends.append(None)
        except Abandoned as end:
            ends.append(end)
            raise

    lane = Lane(work, depth=1)
    for _ in range(5):
        lane.put(b"1")
    lane.abandon()
    lane.abandon()
    assert [type(end) for end in ends] == [Abandoned]


def test_a_pipe_holds_no_more_than_it_may() -> None:
    pipe = Pipe(2)

    def put() -> None:
        for _ in range(50):
            pipe.put(b"1")
        pipe.close()

    thread = threading.Thread(target=put)
    thread.start()
    held = [len(pipe._blocks) <= 2 for _ in pipe]  # pyright: ignore[reportPrivateUsage]
    thread.join()
    assert len(held) == 50
    assert all(held)


def test_what_is_pushed_can_be_iterated_and_its_error_is_met() -> None:
    def produce(put: Callable[[bytes], None]) -> None:
        for n in range(30):
            put(bytes([n]))
        raise KeyError("the producer")

    seen: list[bytes] = []

    def use() -> None:
        seen.extend(pushed(produce))

    with pytest.raises(KeyError, match="the producer"):
        use()


def test_a_reader_that_stops_early_ends_the_producer() -> None:
    ended = threading.Event()

    def produce(put: Callable[[bytes], None]) -> None:
        try:
            while True:
                put(b"1")
        except Abandoned:
            ended.set()
            raise

    flow = pushed(produce)
    assert next(flow) == b"1"
    flow.close()
    assert ended.is_set()
