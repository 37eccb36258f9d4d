"""Writing artifacts to a folder, beside a plain loop that copies, hashes and flushes the same bytes."""

import subprocess
import sys
from pathlib import Path

_ROUNDS = 5
_MEGABYTES = 512
_LARGE = 2048

_COMMON = """
import hashlib, os, resource, sys, time
from pathlib import Path
megabytes, root = int(sys.argv[1]), Path(sys.argv[2])
noise = os.urandom(8 << 20)
blocks = [noise[at : at + (1 << 20)] for at in range(0, len(noise), 1 << 20)]
"""

_PLAIN = """
began = time.perf_counter()
total = hashlib.sha256()
with open(root / "plain", "wb") as file:
    for at in range(megabytes):
        total.update(blocks[at % 8])
        file.write(blocks[at % 8])
    file.flush()
    os.fsync(file.fileno())
"""

_PLAIN_BACK = """
again = hashlib.sha256()
with open(root / "plain", "rb") as file:
    while block := file.read(1 << 20):
        again.update(block)
assert again.digest() == total.digest()
"""

_OURS = """
import places
from dbops.copies import artifact
from dbops.stores import vault
store = vault.connect(places.folder_place(root), target="vault")
recipients = [places.identity()[1]] if "age" in sys.argv else []
began = time.perf_counter()
with artifact.write(store, places.SUBJECT, run="run", compression=sys.argv[3], recipients=recipients) as writer:
    with writer.file("data") as sink:
        for at in range(megabytes):
            sink.write(blocks[at % 8])
    writer.finish(read_back="back" in sys.argv)
"""

_END = """
print(megabytes / (time.perf_counter() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measured(folder: Path, program: str, megabytes: int, *words: str) -> tuple[float, float]:
    """Megabytes a second and peak megabytes of memory of a fresh process."""
    root = folder / "root"
    root.mkdir()
    argv = [sys.executable, "-c", _COMMON + program + _END, str(megabytes), str(root), *words]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
    subprocess.run(["rm", "-r", str(root)], check=True)
    speed, memory = map(float, done.stdout.split())
    return speed, memory


def test_an_artifact_is_written_nearly_as_fast_as_a_plain_loop_copies_and_hashes(folder: Path) -> None:
    rivals = {
        "plain loop": (_PLAIN, ()),
        "as it is": (_OURS, ("none",)),
        "zstd": (_OURS, ("zstd",)),
        "zstd and age": (_OURS, ("zstd", "age")),
        "plain loop, read back": (_PLAIN + _PLAIN_BACK, ()),
        "as it is, read back": (_OURS, ("none", "back")),
    }
    best = dict.fromkeys(rivals, 0.0)
    for _ in range(_ROUNDS):
        for name, (program, words) in rivals.items():
            best[name] = max(best[name], measured(folder, program, _MEGABYTES, *words)[0])
    ratios = {name: speed / best["plain loop"] for name, speed in best.items()}
    back = best["as it is, read back"] / best["plain loop, read back"]
    print("\n" + ", ".join(f"{name}: {best[name]:.0f} MB/s ({ratios[name]:.2f})" for name in rivals))
    print(f"read back beside a plain loop that reads back: {back:.2f}")
    assert ratios["as it is"] >= 0.8
    assert back >= 0.8


def test_memory_does_not_grow_with_the_artifact(folder: Path) -> None:
    for words in (("none", "back"), ("zstd", "age", "back")):
        speed, memory = measured(folder, _OURS, _LARGE, *words)
        print(f"\n2 GB, {' '.join(words)}: {memory:.0f} MB of memory at {speed:.0f} MB/s")
        assert memory <= 150
