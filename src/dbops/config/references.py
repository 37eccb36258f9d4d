"""Every secret that a configuration refers to, tried one by one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dbops.config.fields import Model, SecretFile, variables
from dbops.config.load import resolve
from dbops.config.model import Config
from dbops.errors import ConfigInvalid


@dataclass(frozen=True, slots=True)
class Tried:
    """One reference, and whether it leads to a secret; never the secret."""

    target: str
    key: str
    reference: str
    state: str  # ok, missing, will be generated
    error: str | None = None
    hint: str | None = None


def tried(config: Config) -> Iterator[Tried]:
    """Resolve every reference of every target."""
    for target, key, reference in _all(config):
        told = f"file {reference.file}" if isinstance(reference, SecretFile) else reference
        if isinstance(reference, SecretFile) and reference.generate and not os.path.lexists(reference.file):
            yield Tried(target, key, told, "will be generated")
            continue
        try:
            resolve(reference, target=target)
        except ConfigInvalid as error:
            yield Tried(target, key, told, "missing", error.message, error.hint)
        else:
            yield Tried(target, key, told, "ok")


def _all(config: Config) -> Iterator[tuple[str, str, str | SecretFile]]:
    for section, places in (("cluster", config.cluster), ("postgres", config.postgres)):
        for name, place in places.items():
            yield from _of(name, f"{section}.{name}", place, ("dsn",), ("password",))
    for name, place in config.postgres.items():
        for number, replica in enumerate(place.replicas):
            for variable in dict.fromkeys(variables(replica)):
                yield name, f"postgres.{name}.replicas.{number}", f"${{{variable}}}"
    for name, redis in config.redis.items():
        yield from _of(name, f"redis.{name}", redis, ("url", "username"), ("password",))
    for name, cosmos in config.cosmos.items():
        yield from _of(name, f"cosmos.{name}", cosmos, ("endpoint", "database"), ("key",))
    for name, search in config.search.items():
        yield from _of(name, f"search.{name}", search, ("endpoint",), ("key",))
    if config.vault is not None:
        yield from _of("vault", "vault", config.vault, _PLACE, (*_PLACE_SECRETS, "identity"))
        for name, copy in config.vault.copies.items():
            yield from _of("vault", f"vault.copies.{name}", copy, _PLACE, _PLACE_SECRETS)
    yield from _of_roles(config)


_PLACE = ("url", "endpoint", "key_id")
_PLACE_SECRETS = ("key", "sas")


def _of(
    target: str, where: str, place: Model, texts: tuple[str, ...], secrets: tuple[str, ...]
) -> Iterator[tuple[str, str, str | SecretFile]]:
    """Name the variables in the texts of one table, and its secrets."""
    for key in texts:
        for name in dict.fromkeys(variables(getattr(place, key) or "")):
            yield target, f"{where}.{key}", f"${{{name}}}"
    for key in secrets:
        if (secret := getattr(place, key)) is not None:
            yield target, f"{where}.{key}", secret


def _of_roles(config: Config) -> Iterator[tuple[str, str, str | SecretFile]]:
    for name, role in config.roles.items():
        if role.password is None:
            continue
        if isinstance(role.password, SecretFile) and "{target}" in str(role.password.file):
            for target in config.postgres:
                path = type(role.password.file)(str(role.password.file).replace("{target}", target))
                yield target, f"roles.{name}.password", role.password.model_copy(update={"file": path})
        else:
            yield "-", f"roles.{name}.password", role.password
