"""A process that has imported what writes artifacts, and forks a writer in milliseconds, to be killed.

Its content follows from a seed alone, so that whoever continues writes the same files, and whoever reads them knows.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from dbops.config.model import Place
from dbops.copies import artifact
from dbops.stores import vault

_FILES = 5
_LARGEST = 12 << 20
_DAY = datetime(2026, 8, 1, tzinfo=UTC)


def contents(seed: int) -> dict[str, bytes]:
    """Files of an artifact: one large and several small ones, whose text compresses."""
    chance = random.Random(seed)
    sizes = [chance.randrange(1, _LARGEST), *(chance.randrange(1, 300_000) for _ in range(_FILES - 1))]
    return {f"part-{n}": chance.randbytes(size // 2).hex().encode() for n, size in enumerate(sizes)}


def subject(seed: int) -> artifact.Subject:
    return artifact.Subject("cosmos", "workflows", "export", f"source-{seed}", _DAY + timedelta(hours=seed))


def write(place: Place, seed: int, recipients: list[str]) -> None:
    store = vault.connect(place, target="vault")
    with artifact.write(store, subject(seed), run=f"run-{os.getpid()}", recipients=recipients) as writer:
        for name, data in contents(seed).items():
            if name in writer.done:
                continue
            with writer.file(name) as sink:
                for at in range(0, len(data), 100_000):
                    sink.write(data[at : at + 100_000], 1)
        writer.finish(counts={"files": _FILES})


def main() -> None:
    import_module("dbops.stores.vault.objects")  # before the fork, as the rest is
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_carried_out(json.loads(line))), flush=True)


def _carried_out(wanted: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(wanted)
    allowed = wanted["kill_after"]
    if (
        signal.sigwait({signal.SIGCHLD}) if allowed is None else signal.sigtimedwait({signal.SIGCHLD}, allowed)
    ) is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    signal.sigtimedwait({signal.SIGCHLD}, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began}


def _run(wanted: dict[str, Any]) -> None:
    code = 1
    try:
        os.dup2(os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
        write(Place.model_validate_json(json.dumps(wanted["place"])), wanted["seed"], wanted["recipients"])
        code = 0
    except BaseException:  # noqa: BLE001  # the child must not go on as a copy of its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
