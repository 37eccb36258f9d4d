"""What can go wrong, and the exit code that tells it."""

from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """A public contract: codes are added, never renumbered (README, "Exit codes")."""

    OK = 0
    FAILED = 1
    USAGE = 2
    WARNINGS = 3
    BAD = 4
    UNVERIFIED = 5
    MISSED = 6
    CONFIRM = 7
    CONFIG = 8
    REFUSED = 9
    MISSING = 10
    LOCKED = 11
    AUTH = 12
    UNREACHABLE = 75
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done, or nothing to do",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.WARNINGS: "done with warnings; everything required is complete",
    ExitCode.BAD: "verified, and it is bad: corrupt, mismatched, lost, unsafe",
    ExitCode.UNVERIFIED: "could not be verified, which is not a pass",
    ExitCode.MISSED: "an objective is missed: RPO, RTO, age, runway",
    ExitCode.CONFIRM: "confirmation is required and was not given",
    ExitCode.CONFIG: "the configuration is invalid",
    ExitCode.REFUSED: "refused by the state of the target, or by a gate",
    ExitCode.MISSING: "a dependency is missing: a program, an extension",
    ExitCode.LOCKED: "the lock is held by another run",
    ExitCode.AUTH: "authentication failed",
    ExitCode.UNREACHABLE: "temporarily unreachable: try again",
    ExitCode.INTERRUPTED: "stopped by SIGINT",
    ExitCode.TERMINATED: "stopped by SIGTERM",
}

# Several targets share one exit code: the code that an operator must see first wins.
_GRAVEST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.USAGE,
    ExitCode.CONFIG,
    ExitCode.CONFIRM,
    ExitCode.BAD,
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.AUTH,
    ExitCode.MISSING,
    ExitCode.UNREACHABLE,
    ExitCode.MISSED,
    ExitCode.UNVERIFIED,
    ExitCode.LOCKED,
    ExitCode.WARNINGS,
    ExitCode.OK,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the one code that stands for many targets."""
    return min(codes, key=_GRAVEST_FIRST.index, default=ExitCode.OK)


class DbopsError(Exception):
    """An expected failure: told as message and hint, never as a traceback. A bug is not one of these."""

    code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None, target: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.target = target

    @property
    def exit_code(self) -> ExitCode:
        return self.code


class UsageError(DbopsError):
    code = ExitCode.USAGE


class VerifiedBad(DbopsError):
    code = ExitCode.BAD


class CouldNotVerify(DbopsError):
    code = ExitCode.UNVERIFIED


class ConfirmationRequired(DbopsError):
    code = ExitCode.CONFIRM


class ConfigInvalid(DbopsError):
    code = ExitCode.CONFIG


class Refused(DbopsError):
    code = ExitCode.REFUSED


class DependencyMissing(DbopsError):
    code = ExitCode.MISSING


class LockBusy(DbopsError):
    code = ExitCode.LOCKED


class AuthenticationFailed(DbopsError):
    code = ExitCode.AUTH


class Unreachable(DbopsError):
    code = ExitCode.UNREACHABLE


class Stopped(DbopsError):
    """SIGINT or SIGTERM reached a safe point, or the second one did not wait for it."""

    def __init__(self, signal_number: int, message: str = "stopped on request") -> None:
        super().__init__(message, hint="run the same command again: it observes what is done and goes on")
        self.signal_number = signal_number

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode(128 + self.signal_number)
