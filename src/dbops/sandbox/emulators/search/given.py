"""What a client sent: JSON of which nothing is known before it was looked at."""

from typing import Any, TypeGuard


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def is_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return is_list(value) and all(isinstance(one, dict) for one in value)
