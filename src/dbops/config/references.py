"""Every secret that a configuration refers to, tried one by one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dbops.config.load import resolve
from dbops.config.model import Config, SecretFile, variables
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
            yield from _of_text(name, f"{section}.{name}.dsn", place.dsn)
            if place.password is not None:
                yield name, f"{section}.{name}.password", place.password
    for name, redis in config.redis.items():
        yield from _of_text(name, f"redis.{name}.url", redis.url)
        if redis.password is not None:
            yield name, f"redis.{name}.password", redis.password
    for name, role in config.roles.items():
        if role.password is None:
            continue
        if isinstance(role.password, SecretFile) and "{target}" in str(role.password.file):
            for target in config.postgres:
                path = type(role.password.file)(str(role.password.file).replace("{target}", target))
                yield target, f"roles.{name}.password", role.password.model_copy(update={"file": path})
        else:
            yield "-", f"roles.{name}.password", role.password


def _of_text(target: str, key: str, text: str) -> Iterator[tuple[str, str, str | SecretFile]]:
    for name in dict.fromkeys(variables(text)):
        yield target, key, f"${{{name}}}"
