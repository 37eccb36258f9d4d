"""Files that pgBackRest seals with a checksum of their own: info files and manifests; pure.

The checksum is the SHA-1 of `{"section":{"key":value,...},...}`, in the order of the file, without the checksum itself.
"""

from hashlib import sha1

import orjson

from dbops.errors import VerifiedBad
from dbops.operations.clusters.prove.facts import Cut, Expected

_BEGINS = frozenset('{["-0123456789tfn')  # what a value may begin with
_ENDINGS = {"gz": ".gz", "zst": ".zst", "lz4": ".lz4", "bz2": ".bz2", "none": ""}

Sections = dict[str, dict[str, str]]


def opened(raw: bytes) -> Sections:
    """Read a sealed file; whatever is not as it was written is VerifiedBad."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise VerifiedBad("it holds bytes that are no text") from None
    if not text.endswith("\n"):
        raise VerifiedBad("it ends too early" if text else "it is empty")
    found: Sections = {}
    told, section, hashed = "", "", ""
    parts: list[str] = []
    for line in text[:-1].split("\n"):
        if not line:
            continue
        if line[0] == "[" and line[-1] == "]":
            section = line[1:-1]
            continue
        key, value = _pair(line)
        found.setdefault(section, {})[key] = value
        if section == "backrest" and key == "backrest-checksum":
            told = value.strip('"')
            continue
        if section != hashed:
            parts.append(f'{"}," if hashed else ""}"{section}":{{')
            hashed = section
        else:
            parts.append(",")
        parts.append(f"{orjson.dumps(key).decode()}:{value}")
    digest = sha1(f"{{{''.join(parts)}}}}}".encode(), usedforsecurity=False).hexdigest()
    if digest != told:
        raise VerifiedBad("its checksum does not match its content" if told else "it has no checksum")
    return found


def _pair(line: str) -> tuple[str, str]:
    """Cut at the first `=` behind which a value begins: names of files may hold one, too."""
    at = line.find("=")
    while at > 0:
        if line[at + 1 : at + 2] in _BEGINS:
            return line[:at], line[at + 1 :]
        at = line.find("=", at + 1)
    raise VerifiedBad("it holds a line that is none of its own")


def passes(sections: Sections) -> list[str]:
    """Name the secrets that a decrypted file holds."""
    own = sections.get("cipher", {}).get("cipher-pass")
    return [] if own is None else [str(orjson.loads(own))]


def systems(sections: Sections) -> dict[int, int]:
    """Tell the system identifier of each incarnation, from `archive.info` or `backup.info`."""
    found: dict[int, int] = {}
    for number, told in sections.get("db:history", {}).items():
        one = orjson.loads(told)
        found[int(number)] = int(one.get("db-id") if "db-system-id" not in one else one["db-system-id"])
    return found


def stored(sections: Sections, label: str) -> dict[str, Expected]:
    """Tell which files a set keeps in its own folder, and what every byte of them is to be."""
    options = sections.get("backup:option", {})
    bundled = sections.get("backup", {}).get("backup-bundle") == "true"
    compression = _compression(options)
    encrypted = "cipher" in sections
    bundles: dict[str, list[Cut]] = {}
    found: dict[str, Expected] = {}
    for name, told in sections.get("target:file", {}).items():
        one = orjson.loads(told)
        if one.get("reference", label) != label or (bundled and not one["size"]):
            continue
        size = one.get("repo-size", one["size"])
        digest = one.get("rck")
        if "bni" in one:
            cut = Cut(one.get("bno", 0), size, digest or "", name)
            bundles.setdefault(f"bundle/{one['bni']}", []).append(cut)
            continue
        if digest is None and compression == "none" and not encrypted:
            digest = one.get("checksum")
        content = None if digest else one.get("checksum", sha1(b"", usedforsecurity=False).hexdigest())
        cuts = (Cut(0, size, digest, name),) if digest else ()
        ending = _ENDINGS[compression]
        found[name + ending] = Expected(size if cuts else None, cuts, content, compression)
    for name, cuts in bundles.items():
        ordered = tuple(sorted(cuts))
        found[name] = Expected(ordered[-1].offset + ordered[-1].size, ordered)
    return found


def _compression(options: dict[str, str]) -> str:
    told = options.get("option-compress-type", "").strip('"')
    if told in _ENDINGS:
        return told
    return "gz" if options.get("option-compress") == "true" else "none"
