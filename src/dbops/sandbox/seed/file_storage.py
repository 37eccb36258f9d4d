"""file_storage: files of people, their versions, who may read them, and what the scanner said."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from dbops.sandbox.seed import people
from dbops.sandbox.seed.lines import Table, table
from dbops.sandbox.seed.world import World, id_of

Rows = Iterator[tuple[Any, ...]]

_KINDS = (
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("png", "image/png"),
    ("json", "application/json"),
)
_THREAT = 97  # every so manyth file is infected


def tables(world: World) -> tuple[Table, ...]:
    versions = sum(map(_versions_of, range(world.size.files)))
    return (
        table(
            "files",
            "id name mime_type size_bytes owner_id storage_key status current_version_id metadata uploaded_at"
            " last_accessed_at",
            world.size.files,
            partial(_files, world),
        ),
        table(
            "file_versions",
            "id file_id version_number storage_key size_bytes checksum uploaded_by uploaded_at",
            versions,
            partial(_versions, world),
        ),
        table(
            "file_permissions",
            "id file_id principal_type principal_id permission_level expires_at created_at created_by",
            world.size.files,
            partial(_permissions, world),
        ),
        table("scan_results", "id file_id version_id status threats scanned_at", versions, partial(_scans, world)),
    )


def _versions_of(n: int) -> int:
    return 1 + (n % 4 == 0) + (n % 12 == 0)


def _owner(world: World, n: int) -> int:
    return world.user_in(world.tenant_of(n), n // world.size.tenants)


def _name(n: int) -> str:
    return f"{people.topic(n).replace(' ', '-')}-{n:05}.{_KINDS[n % len(_KINDS)][0]}"


def _key(world: World, n: int, version: int) -> str:
    return f"s3://files/{id_of('tenant', world.tenant_of(n))}/{id_of('file', n)}/{version}"


def _files(world: World) -> Rows:
    for n in range(world.size.files):
        last = _versions_of(n)
        status = "quarantined" if n % _THREAT == _THREAT - 1 else "available"
        found = {"tags": people.topic(n).split(), "workspace_id": id_of("tenant", world.tenant_of(n))}
        yield (
            *(id_of("file", n), _name(n), _KINDS[n % len(_KINDS)][1], _bytes(n, last), id_of("user", _owner(world, n))),
            *(_key(world, n, last), status, id_of(f"file version/{last}", n), found),
            *(world.ago(200 - n * 13 % 190), world.ago(n % 10)),
        )


def _bytes(n: int, version: int) -> int:
    return 1_000 + n * 7919 % 4_000_000 + version * 321


def _versions(world: World) -> Rows:
    for n in range(world.size.files):
        for version in range(1, _versions_of(n) + 1):
            at = world.ago(200 - n * 13 % 190) + timedelta(days=version - 1)
            yield (
                *(id_of(f"file version/{version}", n), id_of("file", n), version, _key(world, n, version)),
                *(_bytes(n, version), hashlib.sha256(f"file {n} {version}".encode()).hexdigest()),
                *(id_of("user", _owner(world, n)), at),
            )


def _permissions(world: World) -> Rows:
    for n in range(world.size.files):
        kind = ("user", "role", "user", "public")[n % 4]
        who = {"user": id_of("user", world.user_in(world.tenant_of(n), n + 1)), "role": id_of("role", n % 5)}.get(kind)
        expires = world.ago(-60) if n % 6 == 0 else None
        at = world.ago(190 - n * 13 % 190)
        level = ("read", "write", "read", "read")[n % 4]
        yield (
            id_of("file permission", n),
            id_of("file", n),
            kind,
            who,
            level,
            expires,
            at,
            id_of("user", _owner(world, n)),
        )


def _scans(world: World) -> Rows:
    for n in range(world.size.files):
        for version in range(1, _versions_of(n) + 1):
            bad = n % _THREAT == _THREAT - 1
            at = world.ago(200 - n * 13 % 190) + timedelta(days=version - 1, seconds=40)
            yield (
                *(id_of(f"scan/{version}", n), id_of("file", n), id_of(f"file version/{version}", n)),
                *("infected" if bad else "clean", [{"name": "Eicar-Test-Signature"}] if bad else None, at),
            )
