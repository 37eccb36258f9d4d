"""Copying an artifact to a second folder, beside a plain loop that copies, hashes, flushes and reads back."""

import subprocess
import sys
from pathlib import Path

import vaults

_ROUNDS = 5
_MEGABYTES = 512

_COMMON = """
import hashlib, os, resource, sys, time
from pathlib import Path
root = Path(sys.argv[1])
sources = sorted((root / "near").rglob("part-*.jsonl"))
"""

_PLAIN = """
def hashed(path, to=None):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
            if to is not None:
                to.write(block)
    return total.digest()
began = time.perf_counter()
for number, source in enumerate(sources):
    with open(root / "far" / str(number), "wb") as file:
        digest = hashed(source, file)
        file.flush()
        os.fsync(file.fileno())
    assert hashed(root / "far" / str(number)) == digest
"""

_OURS = """
from dbops.config.load import load
from dbops.engine import clock, run
from dbops.operations.vault import ready
config = load(root / "dbops.toml").config
began = time.perf_counter()
with ready.ready_copy(config, "far", run.new("benchmark", root / "state"), clock.now()) as opened:
    for step in opened.plan.steps:
        opened.apply(step)
"""

_END = """
size = sum(path.stat().st_size for path in sources) / 2**20
print(size / (time.perf_counter() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measured(folder: Path, program: str) -> tuple[float, float]:
    """Megabytes a second and peak megabytes of memory of a fresh process that fills an empty copy."""
    (folder / "far").mkdir()
    argv = [sys.executable, "-c", _COMMON + program + _END, str(folder)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    subprocess.run(["rm", "-r", str(folder / "far")], check=True)
    speed, memory = map(float, done.stdout.split())
    return speed, memory


def test_a_second_copy_is_made_nearly_as_fast_as_a_plain_loop_does_and_in_bounded_memory(folder: Path) -> None:
    vaults.configured(folder, "far")
    vaults.put(folder / "near", files=2, size=_MEGABYTES << 19)
    best = {"plain loop": 0.0, "vault copy": 0.0}
    most = 0.0
    for _ in range(_ROUNDS):
        for name, program in (("plain loop", _PLAIN), ("vault copy", _OURS)):
            speed, memory = measured(folder, program)
            best[name] = max(best[name], speed)
            most = max(most, memory)
    ratio = best["vault copy"] / best["plain loop"]
    print(
        "\n" + ", ".join(f"{name}: {speed:.0f} MB/s" for name, speed in best.items()) + f" ({ratio:.2f}), {most:.0f} MB"
    )
    assert ratio >= 0.8
    assert most <= 150
