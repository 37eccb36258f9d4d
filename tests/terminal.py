"""A program on a pseudo-terminal: what it shows is read, what a person would type is typed."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_LONGEST_S = 60.0


class Terminal:
    """stdin and stderr are the terminal, and so is stdout unless it has a file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: Path | None = None,
        columns: int = 100,
    ) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        out = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if stdout else theirs
        self.child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=theirs,
            stdout=out,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that Ctrl-C becomes a signal
        )
        os.close(theirs)
        if stdout:
            os.close(out)
        self._terminal = ours
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.shown = ""

    def await_text(self, pattern: str) -> re.Match[str]:
        """Read until the program has shown this."""
        deadline = time.monotonic() + _LONGEST_S
        while not (match := re.search(pattern, self.shown)):
            if not self._read(deadline):
                raise AssertionError(f"the program ended without showing {pattern!r}:\n{self.shown}")
        self.shown = self.shown[match.end() :]
        return match

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        deadline = time.monotonic() + _LONGEST_S
        while self._read(deadline):
            pass
        return self.child.wait(_LONGEST_S)

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self._terminal)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"nothing more came, and the program goes on:\n{self.shown}")
        try:
            data = os.read(self._terminal, 65_536)
        except OSError:  # Linux tells the end of a pseudo-terminal so
            return False
        self.shown += self._decoder.decode(data).replace("\r\n", "\n")
        return bool(data)
