"""age encryption: for several recipients at once, streamed; and whether somebody here can read it back."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from dbops.copies.blocks import Gathering, Reading
from dbops.errors import ConfigInvalid, CouldNotVerify, VerifiedBad

pyrage: Any = import_module("pyrage")  # it tells no types


def encrypt(blocks: Iterator[bytes], put: Callable[[bytes], None], recipients: Sequence[str]) -> None:
    """Encrypt a stream; whoever holds the identity of any recipient can read it."""
    source, target = Reading(blocks), Gathering(put)
    try:
        pyrage.encrypt_io(source, target, [_recipient(text) for text in recipients])
    except Exception as error:
        raise source.fault or target.fault or error from error
    target.finish()


def decrypt(blocks: Iterator[bytes], put: Callable[[bytes], None], identity: str, name: str) -> None:
    """Decrypt a stream: CouldNotVerify when this identity does not fit, VerifiedBad when the data does not."""
    source, target = Reading(blocks), Gathering(put)
    try:
        pyrage.decrypt_io(source, target, identities(identity))
    except Exception as error:
        if fault := source.fault or target.fault:
            raise fault from error
        if "matching" in str(error).lower():
            hint = "name the identity of one of its recipients in [vault] identity"
            raise CouldNotVerify(f"{name} is encrypted for others: {error}", hint=hint) from error
        raise VerifiedBad(f"{name} cannot be decrypted: {error}") from error
    target.finish()


def can_read_back(recipients: Sequence[str], identity: str) -> bool:
    """Try a few bytes, long before anybody needs the rest."""
    probe = pyrage.encrypt(b"dbops", [_recipient(text) for text in recipients])
    try:
        return pyrage.decrypt(probe, identities(identity)) == b"dbops"
    except pyrage.DecryptError:
        return False


def check(recipients: Iterable[str]) -> None:
    """Refuse what is no recipient, before anything is written."""
    for text in recipients:
        _recipient(text)


def _recipient(text: str) -> Any:
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigInvalid(f"{text[:16]}... is no age recipient: {error}", hint="age-keygen -y prints one") from error


def identities(text: str) -> list[Any]:
    """Read an identity as age-keygen writes it, with or without its comments, or an SSH private key."""
    try:
        if text.lstrip().startswith("-----"):
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []  # its message could quote the secret
    if not found:
        raise ConfigInvalid("the vault's identity is no age identity", hint="it begins with AGE-SECRET-KEY-1")
    return found
