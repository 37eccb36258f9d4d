"""A server that answers everything alike: what a client costs when its server costs nothing.

`python tests/same_answer.py --home FOLDER`, like an emulator; FOLDER/emulator.json holds the `answer`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.serve import serve
from dbops.sandbox.emulators.web import Reply, Request


class SameAnswer:
    """An emulator of nothing."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.faults = Faults()
        self._reply = Reply(200, str(settings["answer"]).encode(), (("content-type", "application/json"),))

    def __call__(self, request: Request) -> Reply:  # noqa: ARG002
        return self._reply

    def close(self) -> None: ...


if __name__ == "__main__":
    serve(SameAnswer)
