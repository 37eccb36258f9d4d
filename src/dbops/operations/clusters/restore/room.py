"""Where scratch copies are kept: all that a run needs to know that has none to remove."""

from pathlib import Path


def room(state_dir: Path) -> Path:
    return state_dir / "scratch"
