"""Read the histories: folders of Alembic revisions, and the SQL that each revision emits. Touches no database."""

import io
import logging
import re
import threading
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.util import CommandError

import dbops
from dbops.config.model import Config
from dbops.errors import DbopsError, Refused
from dbops.operations.migrate import effects
from dbops.operations.migrate.facts import BASE, History, Revision

_RUNNING = re.compile(r"^-- Running (?:upgrade|downgrade) (.*)$", re.MULTILINE)
_OF_A_SHAPE = ("expand", "undo", "contract", "old_names")  # what every reader of a history asks
_one_at_a_time = threading.Lock()  # Alembic keeps the revision that it runs in module globals


def folder(config: Config, path: Path) -> Path:
    """Find the folder `migrations`: as configured, beside dbops.toml, or the one that dbops brings along."""
    if config.platform.migrations is not None:
        return (path.parent / config.platform.migrations).absolute()
    above = Path(dbops.__file__).parent.parents
    clones = [each / "migrations" for each in above[1:2]]
    wheels = [each / "share" / "dbops" / "migrations" for each in above[3:4]]
    for found in (path.parent / "migrations", *clones, *wheels):
        if (found / "alembic.ini").is_file():
            return found
    raise Refused("there is no folder of migrations", hint="set [platform] migrations, or make 'migrations' beside it")


def section(config: Config, target: str) -> str:
    return config.postgres[target].migrations or target


def alembic(place: Path, name: str) -> AlembicConfig:
    """Open one section of alembic.ini, its output kept from the terminal."""
    if not (place / "alembic.ini").is_file():
        raise Refused(f"there is no {place / 'alembic.ini'}", hint="[platform] migrations names the folder of it")
    found = AlembicConfig(
        str(place / "alembic.ini"), ini_section=name, stdout=io.StringIO(), output_buffer=io.StringIO()
    )
    if found.get_main_option("script_location") is None:
        raise Refused(f"{place / 'alembic.ini'} has no section [{name}]", hint="copy that of another database")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return found


def read(place: Path, name: str, target: str) -> History:
    """Read the whole history of a target; it has to be linear."""
    with _reading(place, target):
        scripts = ScriptDirectory.from_config(alembic(place, name))
        known = list(scripts.walk_revisions())[::-1]
        heads = scripts.get_heads()
        if len(heads) > 1:
            raise Refused(
                f"the history has {len(heads)} heads: {', '.join(sorted(heads))}",
                hint="a history is linear: set down_revision of the newer one to the other",
                target=target,
            )
        texts = _texts(place, name, "upgrade", f"{BASE}:head") if known else []
    revisions = tuple(
        Revision(
            each.revision,
            each.doc,
            tuple(text),
            effects.made(text),
            effects.taken(text),
            **_about_change(each.module, each.revision, target),
            ensures=effects.ensured(text),
            renames=effects.renamed(text),
        )
        for each, text in zip(known, texts, strict=True)
    )
    every = [statement for text in texts for statement in text]
    where = str(place / "postgres" / name)
    return History(target, where, revisions, effects.roles(every), effects.extensions(every))


def _about_change(module: object, revision: str, target: str) -> dict[str, Any]:
    """Read the attributes that make a revision a phase of a change; they are somebody's code, too."""
    found = {name: getattr(module, name, None) for name in ("change", "phase", "impact", "shape")}
    wrong = [name for name in ("change", "phase", "impact") if not isinstance(found[name], str | None)]
    if wrong:
        raise Refused(f"revision {revision}: {wrong[0]} is no text", hint="correct the revision", target=target)
    lacks = [name for name in _OF_A_SHAPE if not callable(getattr(found["shape"], name, None))]
    if found["shape"] is not None and lacks:
        raise Refused(
            f"revision {revision}: shape is a {type(found['shape']).__name__}, which has no {lacks[0]}()",
            hint="correct the revision: dbops migrate new writes one of each kind",
            target=target,
        )
    return found


def files(place: Path, name: str, target: str) -> dict[str, Path]:
    """Name the files of the revisions, whatever SQL they emit."""
    with _reading(place, target):
        scripts = ScriptDirectory.from_config(alembic(place, name))
        return {each.revision: Path(each.path) for each in scripts.walk_revisions()}


@contextmanager
def _reading(place: Path, target: str) -> Generator[None]:
    """Tell what is wrong with revisions, which are somebody's code, with its place."""
    with _one_at_a_time:
        try:
            yield
        except DbopsError:
            raise
        except CommandError as error:
            raise Refused(f"the revisions in {place} cannot be read: {error}", target=target) from error
        except Exception as error:
            raise DbopsError(
                f"the revisions cannot be read: {place_of(error)}", hint="correct the revision", target=target
            ) from error


def place_of(error: BaseException) -> str:
    """Tell an error of a revision, and where it is: in the revision's own file, as far as that can be told."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({Path(error.filename).name}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent.parent.name == "postgres"]
    last = (own or frames)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def downgrades(place: Path, name: str, known: History) -> dict[str, Sequence[str]]:
    """Return the SQL that takes each revision back."""
    if not known.revisions:
        return {}
    with _one_at_a_time:
        texts = _texts(place, name, "downgrade", f"{known.head}:{BASE}")
    return dict(zip(reversed(known.ids), texts, strict=True))


def script(place: Path, name: str, *, first: str | None, last: str, target: str) -> str:
    """Write what would be run, from one revision (or nothing) to another, as one script for psql."""
    with _one_at_a_time:
        try:
            return _emit(place, name, "upgrade", f"{first or BASE}:{last}")
        except CommandError as error:
            raise Refused(str(error), target=target) from error


def _texts(place: Path, name: str, way: str, span: str) -> list[Sequence[str]]:
    """Cut the script at the lines in which Alembic announces a revision."""
    parts = _RUNNING.split(_emit(place, name, way, span))[2::2]
    return [[one for one in effects.split(part) if not effects.is_bookkeeping(one)] for part in parts]


def _emit(place: Path, name: str, way: str, span: str) -> str:
    config = alembic(place, name)
    written = io.StringIO()
    config.output_buffer = written
    getattr(command, way)(config, span, sql=True)
    return written.getvalue()
