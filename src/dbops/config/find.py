"""Find `dbops.toml` and the state directory, without the model: what only reads journals need not import it."""

import os
import tomllib
from pathlib import Path
from typing import Any, cast

from dbops.errors import ConfigInvalid

NAME = "dbops.toml"
VARIABLE = "DBOPS_CONFIG"


def find(path: Path | None) -> tuple[Path, bool]:
    """Return the configuration's path, and whether somebody named it (or it was found by searching upwards)."""
    if path is not None:
        return path, True
    if named := os.environ.get(VARIABLE):
        return Path(named), True
    try:
        here = Path.cwd()
    except OSError as error:
        raise ConfigInvalid(f"the working directory is gone: {error.strerror}", hint="cd to one that exists") from None
    for folder in (here, *here.parents):
        if os.path.isfile(folder / NAME):  # noqa: PTH113  # Path.is_file raises where a folder is closed to us
            return folder / NAME, False
    raise ConfigInvalid(
        f"no {NAME} in {here} or above it",
        hint=f"name one with --config or {VARIABLE}, write one with 'dbops config init', or try 'dbops sandbox up'",
    )


def read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}", hint="name another with --config") from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path} is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:  # tomllib lets both through for absurd numbers and nesting
        raise ConfigInvalid(f"{path} is not valid TOML: {error}") from error


def state_dir_of(path: Path | None) -> Path:
    """Return the state directory of the configuration at `path`, as `Loaded.state_dir` would."""
    found, _ = find(path)
    told = read(found).get("platform")
    platform: dict[str, Any] = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    if not isinstance(platform.get("name"), str):
        raise ConfigInvalid(f"{found}: platform.name is missing", hint="dbops config check tells all that is wrong")
    own = platform.get("state_dir")
    return state_dir(found, platform["name"], Path(own) if isinstance(own, str) else None)


def state_dir(path: Path, name: str, own: Path | None) -> Path:
    """Where journals and locks live: it works while every store is down."""
    if own is not None:
        return path.resolve().parent / at_home(own)
    home = os.environ.get("XDG_STATE_HOME") or str(Path("~").expanduser() / ".local" / "state")
    return Path(home) / "dbops" / name


def at_home(path: str | Path) -> Path:
    """Let `~` be what shells take it for; where nobody is at home, it stays a name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
