"""Where passwords come from. They are fetched when they are used, and leave only as verifiers."""

from pathlib import Path

from dbops.config.fields import SecretFile
from dbops.config.load import generate, resolve
from dbops.operations.roles.facts import SecretWish


def is_missing(secret: SecretWish) -> bool:
    """Tell whether a secret is to be generated first."""
    return secret.generate and secret.file is not None and not Path(secret.file).exists()


def fetch(secret: SecretWish, *, target: str) -> str:
    if secret.file is None:
        return resolve(secret.variable or "", target=target)
    return resolve(SecretFile(file=Path(secret.file)), target=target)


def fetch_or_make(secret: SecretWish, *, target: str) -> str:
    """Fetch a secret; one that is to be generated is written to its file before anybody learns it."""
    if is_missing(secret) and secret.file is not None:
        return generate(Path(secret.file))
    return fetch(secret, target=target)
