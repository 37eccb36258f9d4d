"""Spare options that nobody gave the way through pydantic, which Typer takes for each of them.

Typer builds a pydantic adapter for every option of a command, --help included, also to learn that None is None: 60 ms,
and a library that reading journals must not need. Here that waits for the first value that somebody gave. It touches
Typer's inside, which is one more reason why its minor version is pinned; tests/acceptance/test_imports.py holds it.
"""

from typing import Any

import typer.core

_build = typer.core.build_runtime_param  # pyright: ignore[reportPrivateImportUsage]


class Given:
    """Stand in for an option's coercion, until there is something to coerce."""

    def __init__(self, descriptor: Any) -> None:
        self._descriptor = descriptor

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if value is param.default:  # written by us, in its own type
            return value
        return _build(self._descriptor).coerce(value, param=param, ctx=ctx)


def spare() -> None:
    """Let options be coerced only when they were given, in this whole program."""
    setattr(typer.core, "build_runtime_param", Given)  # noqa: B010  # not of that type, only of its shape
