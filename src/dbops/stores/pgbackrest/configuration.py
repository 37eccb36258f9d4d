"""pgBackRest's configuration files: their sections as data, and how a file is extended without losing a line of it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GLOBAL = "global"
_SECRET = re.compile(r"(?:-pass|-key|-key-secret|-token|-sas)$")
_CANNOT = re.compile(r"[\n\r]|^\s|\s$")  # what a value cannot hold: it ends with its line, and is trimmed


@dataclass(frozen=True, slots=True)
class Section:
    """One section, its options in their order; an option that comes twice is a list."""

    name: str  # global, global:COMMAND, STANZA, STANZA:COMMAND
    options: tuple[tuple[str, str], ...]

    @property
    def stanza(self) -> str | None:
        """Name the stanza that it is for; None for the global ones."""
        name = self.name.partition(":")[0]
        return None if name == GLOBAL else name


@dataclass(frozen=True, slots=True)
class Setting:
    """One option that a file is to hold."""

    section: str
    name: str
    value: str


def parse(text: str) -> tuple[Section, ...]:
    """Read the sections of one file, or of several one after the other; a line that is no option is left out."""
    found: dict[str, list[tuple[str, str]]] = {}
    here: list[tuple[str, str]] | None = None
    for line in text.splitlines():
        told = line.strip()
        if told.startswith("[") and told.endswith("]"):
            here = found.setdefault(told[1:-1], [])
        elif here is not None and told and not told.startswith("#") and "=" in told:
            name, _, value = told.partition("=")
            here.append((name.strip(), value.strip()))
    return tuple(Section(name, tuple(options)) for name, options in found.items())


def effective(sections: Sequence[Section], stanza: str, name: str, command: str | None = None) -> str | None:
    """Return what an option is for a stanza (and a command): the nearest section that has it decides."""
    nearest = (f"{stanza}:{command}", stanza, f"{GLOBAL}:{command}", GLOBAL) if command else (stanza, GLOBAL)
    for section in nearest:
        for one in sections:
            if one.name == section:
                values = [value for option, value in one.options if option == name]
                if values:
                    return values[-1]
    return None


def is_secret(name: str) -> bool:
    """Tell whether the value of an option is nobody else's business: a pass, a key, a token."""
    return _SECRET.search(name) is not None


def redacted(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Return the same sections, with `***` in the place of each secret."""
    return tuple(
        Section(one.name, tuple((name, "***" if is_secret(name) else value) for name, value in one.options))
        for one in sections
    )


def holds(value: str) -> bool:
    """Tell whether a value can be written into such a file."""
    return bool(value) and _CANNOT.search(value) is None


def extended(text: str, settings: Iterable[Setting]) -> str:
    """Set options in a file: a line that is there is replaced, all other lines, remarks too, stay as they are."""
    lines = text.splitlines()
    for setting in settings:
        if not holds(setting.value):
            raise ValueError(f"{setting.name} cannot be written into a pgBackRest configuration")
        _set(lines, setting)
    return "\n".join([*lines, ""])


def _set(lines: list[str], setting: Setting) -> None:
    wanted = f"{setting.name}={setting.value}"
    last: int | None = None  # the last line of the section that is no remark: those may be about what follows
    there: list[int] = []
    inside = False
    for number, line in enumerate(lines):
        told = line.strip()
        if told.startswith("[") and told.endswith("]"):
            inside = told[1:-1] == setting.section
        if inside and told and not told.startswith("#"):
            last = number
            if not told.startswith("[") and told.partition("=")[0].strip() == setting.name:
                there.append(number)
    if there:
        lines[there[-1]] = wanted
        for number in reversed(there[:-1]):
            del lines[number]
    elif last is not None:
        lines.insert(last + 1, wanted)
    else:
        lines += [*([""] if lines and lines[-1].strip() else []), f"[{setting.section}]", wanted]
