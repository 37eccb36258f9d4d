"""What all parts of `dbops.toml` are made of: strict models, spans, addresses, references to secrets."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema

from dbops.units import exact_duration, parse_duration

TARGET_NAME = r"^[a-z][a-z0-9_-]{0,47}$"  # it names files, locks and metrics

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PASSWORD_WORD = re.compile(r"(?i)\b(?:password|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)")
_PASSWORD_IN_URL = re.compile(r"(?i)^[a-z+]+://[^/@:]*:([^/]*)@")


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def variables(text: str) -> list[str]:
    """Name the environment variables that `text` refers to as `${NAME}`."""
    return VARIABLE.findall(text)


def passwords_in(text: str) -> list[str]:
    """Find the passwords that a connection string or a URL holds, as they are written there."""
    return [match[1].strip("'") for pattern in (_PASSWORD_WORD, _PASSWORD_IN_URL) for match in pattern.finditer(text)]


def _no_literal_password(value: Any) -> Any:
    if isinstance(value, str) and any(VARIABLE.sub("", text) for text in passwords_in(value)):
        raise ValueError(
            'holds a literal password; write password = { file = "..." } beside it, or "${ENV_NAME}" in its place'
        )
    return value


def _only_a_reference(value: Any) -> Any:
    if isinstance(value, str) and not VARIABLE.fullmatch(value):
        raise ValueError('is a literal secret; write "${ENV_NAME}" or { file = "/path" }')
    return value


class SecretFile(Model):
    """A secret in a file that only its owner can read."""

    file: Annotated[Path, Field(strict=False)]  # strict pydantic takes no text for a path behind a validator
    generate: bool = Field(default=False, description="write a random secret there, mode 0600, when it is missing")


def _day(value: Any) -> Any:
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value).get(DATE, value)
    if not isinstance(value, str):
        return value
    return date.fromisoformat(value)


DATE = "a date"  # how a date of TOML is marked in JSON
Day = Annotated[date, BeforeValidator(_day)]
Span = Annotated[
    timedelta,
    BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value),
    PlainSerializer(exact_duration, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["30s", "5m", "6h", "30 days", "7 years"]}),
]
Dsn = Annotated[str, BeforeValidator(_no_literal_password)]
Variable = Annotated[str, StringConstraints(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")]
Secret = Annotated[Variable | SecretFile, BeforeValidator(_only_a_reference)]
# PostgreSQL cuts longer names silently, so two long ones could meet; {target} grows when it is filled in.
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class Objectives(Model):
    """What was promised. Where nothing was promised, nothing can be missed."""

    rpo: Span | None = Field(default=None, description="how much may be lost")
    rto: Span | None = Field(default=None, description="how long a recovery may take")
    backup_age: Span | None = Field(default=None, description="how old the newest backup may be")


class Tls(Model):
    """How the connection is protected; for postgres these become libpq's ssl* settings."""

    mode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "verify-full"
    root_cert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
