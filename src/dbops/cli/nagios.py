"""One line for Nagios, with its own codes: the gravest first, and what could not be checked is never OK."""

from collections.abc import Sequence

from dbops.engine.finding import Finding, Severity

_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_CODES = {
    Severity.INFO: 0,
    Severity.WARNING: 1,
    Severity.UNKNOWN: 3,
    Severity.MISSED: 2,
    Severity.BAD: 2,
    Severity.ERROR: 3,
}
_GRAVEST_FIRST = (2, 3, 1, 0)
_TOLD = 3


def line(what: str, good: str, findings: Sequence[Finding], performance: str = "") -> tuple[str, int]:
    """Say it all in one line, with the exit code; `good` is said where there is nothing to tell."""
    ordered = sorted(findings, key=lambda finding: _GRAVEST_FIRST.index(_CODES[finding.severity]))
    code = _CODES[ordered[0].severity] if ordered else 0
    text = "; ".join(f"{finding.target}: {finding.message}" for finding in ordered[:_TOLD]) or good
    more = f" and {len(ordered) - _TOLD} more" if len(ordered) > _TOLD else ""
    told = (text + more).replace("|", "/").replace("\n", " ")  # what is behind | would be read as figures
    return f"{what} {_WORDS[code]} - {told}{f' | {performance}' if performance else ''}", code
