"""What lint found, for machines that show it beside the code: GitHub's workflow commands, and JUnit's XML."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from dbops.engine.finding import Finding, Severity
from dbops.engine.keywords import KEYWORDS

if TYPE_CHECKING:
    from dbops.operations.migrate.lint.ready import Judged

_COMMANDS = {Severity.INFO: "notice", Severity.WARNING: "warning"}
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_OF_DDL = {"add", "alter", "create", "drop", "index", "key", "rename", "type", "update", "view"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the repository a finding is; a finding about a schema has no place."""

    revision: str = ""
    file: str = ""
    line: int = 0


def github(found: "Sequence[Judged]") -> Iterator[str]:
    """Write one command for each finding."""
    for one in found:
        for finding in one.findings:
            place = _place(one, finding)
            where = f"file={_property(place.file)},line={place.line}," if place.file else ""
            command = _COMMANDS.get(finding.severity, "error")
            hint = f"\n{finding.hint}" if finding.hint else ""
            title = _property(f"{finding.code} {finding.target}")
            yield f"::{command} {where}title={title}::{_message(finding.message + hint)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def junit(found: "Sequence[Judged]") -> str:
    """Write a suite for each database, with a case for its schema and one for each revision."""
    suites = ET.Element("testsuites", name="dbops migrate lint")
    for one in found:
        suite = ET.SubElement(suites, "testsuite", name=one.told.target)
        cases = {"": ET.SubElement(suite, "testcase", classname=one.told.target, name="schema")}
        for revision, file in sorted(one.files.items()):
            name = f"{revision} {file.name}"
            cases[revision] = ET.SubElement(suite, "testcase", classname=one.told.target, name=name)
        failures = 0
        for finding in one.findings:
            case = cases.get(_place(one, finding).revision, cases[""])
            if finding.severity is Severity.INFO:
                ET.SubElement(case, "system-out").text = _valid(f"{finding.code}: {finding.message}")
                continue
            failures += 1
            failure = ET.SubElement(case, "failure", type=finding.code, message=_valid(finding.message))
            failure.text = _valid(finding.hint or "")
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(failures))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _valid(text: str) -> str:
    """Leave out what XML cannot hold at all."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def _place(one: "Judged", finding: Finding) -> _Place:
    for hazard in one.told.hazards:
        if (hazard.code, hazard.message) == (finding.code, finding.message):
            statements = (
                f.statement for f in one.told.forecast if (f.revision, f.number) == (hazard.revision, hazard.number)
            )
            return _in_file(one, hazard.revision, next(statements, ""))
    revision = next(
        (name for name, file in one.files.items() if name in finding.message or file.name in finding.message), ""
    )
    return _in_file(one, revision, "") if revision else _Place()


def _in_file(one: "Judged", revision: str, statement: str) -> _Place:
    file = one.files.get(revision)
    if file is None:
        return _Place(revision)
    return _Place(revision, _shown(file), _line(file.read_text(encoding="utf-8"), statement))


def _shown(file: Path) -> str:
    """Name it from where we stand, as a checkout knows it."""
    told = os.path.relpath(file)
    return str(file) if told.startswith("..") else told


def _line(source: str, statement: str) -> int:
    """Guess where a statement comes from: the line of `upgrade` that shares most words with it."""
    words = _words(statement) - KEYWORDS - _OF_DDL
    lines = source.splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("def upgrade")), 0)
    last = next((n for n, line in enumerate(lines) if line.startswith("def downgrade")), len(lines))
    return 1 + max(range(first, max(last, first + 1)), key=lambda n: (len(words & _words(lines[n])), -n))


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
