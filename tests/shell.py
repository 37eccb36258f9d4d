"""Start the installed program from bash, or the program of `risky.py` whose commands do odd things."""

import shlex
import subprocess
import sys
from pathlib import Path

CONFIG = '[platform]\nname = "x"\nenvironment = "test"\nstate_dir = "state"\n'
DBOPS = Path(sys.executable).with_name("dbops")
RISKY = [sys.executable, str(Path(__file__).with_name("risky.py")), "risky"]


def sh(line: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which `dbops` is the installed program."""
    whole = f'set -o pipefail; dbops() {{ {shlex.quote(str(DBOPS))} "$@"; }}; {line}'
    argv = ["bash", "-c", whole]
    return subprocess.run(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def risky(env: dict[str, str], folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RISKY, "fail", *args], env=env, cwd=folder, capture_output=True, text=True, check=False)
