"""Reading Python while other threads read Python."""

import time
from concurrent.futures import ThreadPoolExecutor

from dbops.operations.migrate.parsing import expression, parsed

_CALL = "f(a.b, [(1, 2), {3: c[4]}])"
_SOURCE = "\n".join(f"x{n} = {_CALL}" for n in range(60))


class _Loop:
    """Garbage that lets another thread run when it is collected, wherever that happens."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0.0001)


def test_threads_that_read_at_once_read_what_is_there() -> None:
    def read(_: int) -> tuple[int, str]:
        for _ in range(20):
            _Loop()
        return len(parsed(_SOURCE).body), type(expression(_CALL)).__name__

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(200))) == {(60, "Call")}
