"""Who serves a folder, as /proc tells."""

import subprocess
import sys

from dbops.servers import alive

_FORKING = "import os, sys, time; os.fork(); os.write(1, b'x\\n'); sys.stdin.read()"


def test_a_child_that_was_just_forked_is_no_server_of_its_own() -> None:
    argv = [sys.executable, "-c", _FORKING, "mark-of-this-test"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert [server.stdout.readline() for _ in range(2)] == ["x\n"] * 2
        found = [pid for pid in alive.everybody() if alive.argv_of(pid)[-1:] == ("mark-of-this-test",)]
        assert len(found) == 2
        assert alive.serving(lambda told: told[-1:] == ("mark-of-this-test",)) == [server.pid]
        assert server.stdin is not None
        server.stdin.close()
