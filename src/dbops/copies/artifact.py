"""An artifact: a backup or export in the vault, with its manifest. This is what other rooms use.

`<tier prefix><store>/<target>/<instant>-<kind>/` holds `construction.json` (written first), the data files,
`records/<file>.json` (a file is complete when its record is there), `manifest.json` (written last: without it
the artifact does not exist) and `verified/` (results). Everything but the data files is written once.
"""

from dbops.copies.catalogue import Address, Artifact, Broken, Construction, Found, find, listing
from dbops.copies.manifest import Begun, File, Manifest, Subject
from dbops.copies.reader import read
from dbops.copies.verify import Depth, Verified, keep, slices, verify
from dbops.copies.writer import ABANDONED_AFTER, Sink, Writer, write

__all__ = [
    "ABANDONED_AFTER",
    "Address",
    "Artifact",
    "Begun",
    "Broken",
    "Construction",
    "Depth",
    "File",
    "Found",
    "Manifest",
    "Sink",
    "Subject",
    "Verified",
    "Writer",
    "find",
    "keep",
    "listing",
    "read",
    "slices",
    "verify",
    "write",
]
