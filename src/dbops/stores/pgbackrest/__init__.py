"""pgBackRest, by plain subprocess: how it is run, what it says, what it knows of a stanza, what its files are."""

from dbops.stores.pgbackrest.files import Listed, get, ls, sizes
from dbops.stores.pgbackrest.program import run, run_as
from dbops.stores.pgbackrest.said import Message, messages, out_of_space, told
from dbops.stores.pgbackrest.stanzas import (
    MISSING_DATA,
    MISSING_PATH,
    NO_BACKUPS,
    NO_STANZA,
    OK,
    OTHER,
    ArchiveInfo,
    BackupInfo,
    DatabaseInfo,
    RepositoryInfo,
    StanzaInfo,
    info,
    newest,
    parse_info,
)

__all__ = [
    "MISSING_DATA",
    "MISSING_PATH",
    "NO_BACKUPS",
    "NO_STANZA",
    "OK",
    "OTHER",
    "ArchiveInfo",
    "BackupInfo",
    "DatabaseInfo",
    "Listed",
    "Message",
    "RepositoryInfo",
    "StanzaInfo",
    "get",
    "info",
    "ls",
    "messages",
    "newest",
    "out_of_space",
    "parse_info",
    "run",
    "run_as",
    "sizes",
    "told",
]
