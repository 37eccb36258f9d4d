"""A digest of many records that does not depend on their order: sums of 128-bit hashes."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)


@dataclass(slots=True)
class Digest:
    """Sums up canonical records. A sum and no XOR: two equal records must not cancel each other."""

    count: int = 0
    total: int = 0

    def add(self, record: bytes) -> None:
        self.count += 1
        self.total = (self.total + int.from_bytes(blake2b(record, digest_size=_SIZE).digest(), "big")) % _MODULUS

    def update(self, records: Iterable[bytes]) -> None:
        """Add many: the loop stays here, where it is short."""
        count = total = 0
        for record in records:
            total += int.from_bytes(blake2b(record, digest_size=_SIZE).digest(), "big")
            count += 1
        self.count += count
        self.total = (self.total + total) % _MODULUS

    def __add__(self, other: "Digest") -> "Digest":
        """Join what two workers have summed up."""
        return Digest(self.count + other.count, (self.total + other.total) % _MODULUS)

    def __str__(self) -> str:
        return f"blake2b128sum:{self.count}:{self.total:032x}"


def parse(text: str) -> Digest:
    """Read what `str` wrote, so that a sum can be continued."""
    kind, count, total = text.split(":")
    if kind != "blake2b128sum":
        raise ValueError(f"{text!r} is no digest of records")
    return Digest(int(count), int(total, 16))
