"""Find, read and check `dbops.toml`; resolve its secrets when they are used."""

import json
import os
import secrets
import stat
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from pydantic import ValidationError

from dbops.config import find, problems
from dbops.config.fields import DATE, SecretFile, passwords_in, variables
from dbops.config.fill import fill
from dbops.config.model import Config
from dbops.errors import ConfigInvalid, DbopsError, Refused
from dbops.redact import register


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, and where it came from."""

    config: Config
    path: Path

    @property
    def state_dir(self) -> Path:
        """Where journals and locks live: it works while every store is down."""
        platform = self.config.platform
        return find.state_dir(self.path, platform.name, platform.state_dir)


def load(path: Path | None, *, changing: bool = False) -> Loaded:
    """Read the configuration; all that is wrong with it is told at once."""
    found, named = find.find(path)
    loaded = Loaded(parse(find.read(found), found), found.resolve())
    if changing and not named and loaded.config.platform.environment == "production":
        raise Refused(
            f"{found} was only found by searching upwards, and it describes production",
            hint=f"name it: --config {found}, or {find.VARIABLE}={found}",
        )
    return loaded


def parse(raw: dict[str, Any], path: Path) -> Config:
    """Turn what TOML said into a Config, or tell every error with its place."""
    found = problems.across(raw)
    try:
        # As JSON, because strict means for JSON what it means for TOML: "5" is no number, but a list is a tuple.
        told = json.dumps(_beside(raw, path.resolve().parent), default=_dates)
        config = Config.model_validate_json(told, strict=True)
    except ValidationError as error:
        found = [*problems.of_error(error), *found]
    else:
        if not found:
            return config
    listed = "\n".join(f"  {line}" for line in dict.fromkeys(found))
    raise ConfigInvalid(f"{path} is not valid:\n{listed}", hint="dbops config schema describes every key")


def _dates(value: Any) -> Any:
    """JSON has no dates: mark them, so that only a key that is a date takes one."""
    return {DATE if type(value) is date else "a date or time": str(value)}


_PATHS = frozenset({"file", "pgbackrest_config", "data_directory", "root_cert", "cert", "key"})


def _beside(value: Any, folder: Path, key: str = "") -> Any:
    """Let relative paths begin beside the configuration, whatever folder cron starts us in."""
    match value:
        case dict():
            told = cast("dict[str, Any]", value)
            return {name: _beside(inner, folder, name) for name, inner in told.items()}
        case list():
            return [_beside(inner, folder) for inner in cast("list[Any]", value)]
        case str() if key in _PATHS and not variables(value):  # the key of a vault is a secret, that of TLS a file
            return str(folder / find.at_home(value))
        case _:
            return value


def resolve(reference: str | SecretFile, *, target: str) -> str:
    """Fetch a secret, or fill `${ENV}` into a text, at the moment of use; what was fetched is blanked everywhere."""
    if isinstance(reference, SecretFile):
        return _from_file(reference.file, target)

    def value_of(name: str) -> str:
        value = os.environ.get(name)
        if not value:  # empty, libpq would look for a password elsewhere
            raise ConfigInvalid(
                f"the environment variable {name} is {'not set' if value is None else 'empty'}",
                hint=f"export {name} before dbops starts",
                target=target,
            )
        return value

    text, found = fill(reference, value_of)
    for secret in (*found, *passwords_in(text)):
        register(secret)
        register(unquote(secret))
    return text


def _without_remarks(text: str) -> str:
    """Take one line beside remarks, as age-keygen writes an identity, or a whole key in PEM; nothing else."""
    if "\n" not in text or text.startswith("-----BEGIN "):
        return text
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return lines[0] if len(lines) == 1 else ""


def _from_file(path: Path, target: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer never opens
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(65_537) if stat.S_ISREG(mode) else b""
    except (OSError, ValueError) as error:  # a name that no file can have
        told = error.strerror if isinstance(error, OSError) else error
        raise ConfigInvalid(f"the secret file {path} cannot be read: {told}", target=target) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigInvalid(
            f"the secret file {path} can be read by others (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {path}, and change the secret if others could have read it",
            target=target,
        )
    try:
        value = data.decode("utf-8").rstrip("\r\n") if len(data) <= 65_536 else ""
    except UnicodeDecodeError:
        value = ""
    value = _without_remarks(value)
    if not value or "\0" in value:
        raise ConfigInvalid(f"the secret file {path} does not hold one line of text", target=target)
    return register(value)


def generate(path: Path, secret: str | None = None) -> str:
    """Write a new secret, by default a random one, into a file that must not exist, whole or not at all; return it."""
    value = register(secret or secrets.token_urlsafe(24))
    fresh = path.with_name(f".{path.name}.new")  # what a killed run left there is written over
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{value}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(fresh, path)  # never over one that another run has just written
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the role gets this password next: the file must not be lost then
        finally:
            os.close(folder)
    except OSError as error:
        raise DbopsError(f"the secret file {path} cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return value
