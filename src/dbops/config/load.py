"""Find, read and check `dbops.toml`; resolve its secrets when they are used."""

import difflib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from dbops.config import find
from dbops.config.model import TARGET_NAME, Config, SecretFile, variables
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
    try:
        config = Config.model_validate(_beside(raw, path.resolve().parent))
    except ValidationError as error:
        problems = [_problem(dict(e)) for e in error.errors()]
    else:
        problems = list(_across(config))
        if not problems:
            return config
    listed = "\n".join(f"  {line}" for line in dict.fromkeys(problems))
    raise ConfigInvalid(f"{path} is not valid:\n{listed}", hint="dbops config schema describes every key")


_PATHS = frozenset({"file", "pgbackrest_config", "data_directory", "root_cert", "cert", "key"})


def _beside(value: Any, folder: Path, key: str = "") -> Any:
    """Let relative paths begin beside the configuration, whatever folder cron starts us in."""
    match value:
        case dict():
            told = cast("dict[str, Any]", value)
            return {name: _beside(inner, folder, name) for name, inner in told.items()}
        case list():
            return [_beside(inner, folder) for inner in cast("list[Any]", value)]
        case str() if key in _PATHS:
            return str(folder / value)
        case _:
            return value


def _problem(error: dict[str, Any]) -> str:
    # pydantic names the branch of a union in the path: it is no key of the file
    path = [part for part in error["loc"] if not (isinstance(part, str) and part in {"SecretFile", "constrained-str"})]
    where = ".".join(str(part) for part in path if not str(part).startswith("function-"))
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _keys_at(path[:-1]), n=1)
        return f"{where}: no such key" + (f"; did you mean {near[0]!r}?" if near else "")
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}"


def _keys_at(path: Iterable[Any]) -> list[str]:
    """Walk the model along a path and name the keys that are valid there."""
    here: Any = Config
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {(f.alias or name): f.annotation for name, f in here.model_fields.items()}
            here = fields.get(str(part))
        else:  # dict[str, Model] or tuple[Model, ...]: one step down into its Model
            here = next((a for a in _flat(here) if isinstance(a, type) and issubclass(a, BaseModel)), None)
    models = [a for a in (here, *_flat(here)) if isinstance(a, type) and issubclass(a, BaseModel)]
    return [f.alias or name for model in models for name, f in model.model_fields.items()]


def _flat(annotation: Any) -> Iterator[Any]:
    for inner in get_args(annotation):
        yield inner
        yield from _flat(inner)


def _across(config: Config) -> Iterator[str]:
    """Tell what no single key can know."""
    yield from _names(config)
    for name, place in config.postgres.items():
        yield from _absent(f"postgres.{name}.cluster", "cluster", (place.cluster,), config.cluster)
    if config.platform.ledger is not None:
        yield from _absent("platform.ledger", "postgres", (config.platform.ledger,), config.postgres)
    for name, role in config.roles.items():
        yield from _absent(f"roles.{name}.clusters", "cluster", role.clusters, config.cluster)
    for number, grant in enumerate(config.grants):
        yield from _absent(f"grants.{number}.databases", "postgres", grant.databases, config.postgres)
        yield from _absent(f"grants.{number}.to", "roles", (grant.to,), config.roles)


def _names(config: Config) -> Iterator[str]:
    owners: dict[str, str] = {}
    for section in ("cluster", "postgres", "redis"):
        for name in getattr(config, section):
            if not re.match(TARGET_NAME, name):
                yield f"{section}.{name!r}: a target's name is small letters, digits, '_' and '-', at most 48"
            if name in owners:
                yield f"{section}.{name}: {owners[name]}.{name} has this name already; names are unique over all sections"
            owners[name] = section


def _absent(key: str, section: str, named: Iterable[str], there: Iterable[str]) -> Iterator[str]:
    known = list(there)
    for name in named:
        if name not in known:
            yield f"{key}: there is no [{section}.{name}]{_near(name, known)}"


def _near(word: str, valid: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(valid), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def resolve(reference: str | SecretFile, *, target: str) -> str:
    """Fetch a secret, or fill `${ENV}` into a text, at the moment of use; what was fetched is blanked everywhere."""
    if isinstance(reference, SecretFile):
        return _from_file(reference.file, target)
    text = reference
    for name in variables(reference):
        value = os.environ.get(name)
        if value is None:
            raise ConfigInvalid(
                f"the environment variable {name} is not set",
                hint=f"export {name} before dbops starts",
                target=target,
            )
        text = text.replace(f"${{{name}}}", register(value))
    return text


def _from_file(path: Path, target: str) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(65_537)
    except OSError as error:
        raise ConfigInvalid(f"the secret file {path} cannot be read: {error.strerror}", target=target) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigInvalid(
            f"the secret file {path} can be read by others (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {path}, and change the secret if others could have read it",
            target=target,
        )
    value = data.decode("utf-8", "strict").rstrip("\r\n") if len(data) <= 65_536 else ""
    if not value or "\0" in value or "\n" in value:
        raise ConfigInvalid(f"the secret file {path} does not hold one line of text", target=target)
    return register(value)


def generate(path: Path) -> str:
    """Write a new random secret into a file that must not exist, whole or not at all; return it."""
    value = register(secrets.token_urlsafe(24))
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{value}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(fresh, path)  # never over one that another run has just written
    except OSError as error:
        raise DbopsError(f"the secret file {path} cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return value
