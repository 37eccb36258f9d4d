"""What a client sent, taken for what it should be; anything else is refused with 400."""

from typing import Any, cast

from dbops.sandbox.emulators.cosmos.answers import Refused


def an_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(400, f"The input content is invalid: {what} is an object.")
    return cast("dict[str, Any]", value)


def objects(value: Any, what: str) -> list[dict[str, Any]]:
    return [an_object(one, f"each of {what}") for one in a_list(value, what)]


def a_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(400, f"The input content is invalid: {what} is a list.")
    return cast("list[Any]", value)


def paths(value: Any, what: str) -> list[str]:
    """Read names like `/a/b`, at least one."""
    listed = a_list(value, what)
    if not listed or not all(isinstance(one, str) and one.startswith("/") and len(one) > 1 for one in listed):
        raise Refused(400, f"The input content is invalid: {what} are paths that begin with '/'.")
    return listed


def a_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise Refused(400, f"The input content is invalid: {what} is a string.")
    return value


def maybe_text(value: Any, what: str) -> str | None:
    return None if value is None else a_text(value, what)
