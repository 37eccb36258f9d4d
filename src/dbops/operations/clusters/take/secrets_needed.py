"""Which named secrets a recovery needs: their names and places, never their values."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dbops.config.fields import Secret, SecretFile, variables
from dbops.config.model import Config


@dataclass(frozen=True, slots=True)
class Needed:
    """One secret, by the reference that leads to it."""

    key: str  # of dbops.toml, or the file that holds it
    reference: str
    purpose: str


def needed(config: Config, target: str) -> tuple[Needed, ...]:
    """List what somebody who has only the repository and the vault has to bring along."""
    return tuple(_needed(config, target))


def _needed(config: Config, target: str) -> Iterator[Needed]:
    place = config.cluster[target]
    for key, one in sorted(place.repository.items()):
        if one.cipher is not None:
            where = f"cluster.{target}.repository.{key}.cipher"
            yield Needed(where, _told(one.cipher), f"without it nothing in repository {key} can be read")
    if place.password is not None:
        yield Needed(f"cluster.{target}.password", _told(place.password), "the administrator's, once it runs again")
    for name in dict.fromkeys(variables(place.dsn)):
        yield Needed(f"cluster.{target}.dsn", f"${{{name}}}", "a part of the connection string")
    if (vault := config.vault) is None:
        return
    purposes = {
        "key": "to reach the vault",
        "sas": "to reach the vault",
        "identity": "to decrypt what lies in the vault, this configuration too",
    }
    for key, purpose in purposes.items():
        secret: Secret | None = getattr(vault, key)
        if secret is not None:
            yield Needed(f"vault.{key}", _told(secret), purpose)


def _told(secret: Secret) -> str:
    return f"file {secret.file}" if isinstance(secret, SecretFile) else secret


def document(secrets: tuple[Needed, ...]) -> list[dict[str, Any]]:
    return [asdict(one) for one in secrets]


def text(secrets: tuple[Needed, ...]) -> str:
    """Write it for a runbook, as a Markdown table."""
    if not secrets:
        return "No secret is needed.\n"
    head = ("| secret | where it is kept | what for |", "|---|---|---|")
    rows = (f"| `{one.key}` | `{one.reference}` | {one.purpose} |" for one in secrets)
    return "\n".join([*head, *rows, ""])
