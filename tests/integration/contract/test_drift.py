"""DDL by hand in between: what a change put into the catalog is missed, or found altered."""

from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.engine import clock
from dbops.errors import Refused
from dbops.operations.migrate import drift
from dbops.operations.migrate.compare import ready as compare
from dbops.operations.migrate.standing import ready as standing
from dbops.operations.migrate.standing.facts import Looked
from dbops.operations.migrate.switch import ready as switch

import changing
import contracting
import renaming


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        contracting.expanded(example, rows=3)
        yield example


def looked(live: changing.Example) -> Looked:
    known = standing.histories(live.config, live.toml, [changing.TARGET])
    return standing.look(live.config, live.run(), clock.now(), known, changing.TARGET)


def trigger(live: changing.Example) -> str:
    [(name,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")
    return str(name)


def test_what_is_as_it_was_made_is_no_drift(live: changing.Example) -> None:
    live.execute("CREATE INDEX mine ON users (full_name)")
    live.execute("ALTER TABLE users ADD COLUMN other int")
    assert looked(live).findings == ()


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ('DROP TRIGGER "{trigger}" ON users', "DBM501", "trigger {trigger} is gone"),
        ('ALTER TABLE users DISABLE TRIGGER "{trigger}"', "DBM502", "trigger {trigger} was altered"),
        (
            'CREATE OR REPLACE FUNCTION "{trigger}"() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$',
            "DBM502",
            "trigger {trigger} was altered",
        ),
        ("ALTER TABLE users ALTER full_name TYPE varchar(80)", "DBM502", "column full_name was altered"),
        ("ALTER TABLE users RENAME full_name TO whole_name", "DBM501", "column full_name is gone"),
    ],
)
def test_ddl_by_hand_in_between_is_told_as_drift(live: changing.Example, text: str, code: str, what: str) -> None:
    name = trigger(live)
    live.execute(text.format(trigger=name))
    found = [one for one in looked(live).findings if one.code.startswith("DBM5")]
    assert [(one.code, what.format(trigger=name) in one.message) for one in found] == [(code, True)]


def test_an_exchange_of_names_alters_nothing(live: changing.Example) -> None:
    change = renaming.observed(live)
    assert change.shape is not None
    with live.connect() as connection:
        before = drift.fingerprint(connection, change.id, change.shape)
        assert sorted(name.split()[0] for name in before) == ["column", "trigger"]
        connection.execute("ALTER TABLE users RENAME TO people")
        now = drift.fingerprint(connection, change.id, change.shape)
    assert {name: what for name, what in before.items() if name.startswith("trigger")} == now


def test_readers_do_not_follow_where_somebody_altered_what_keeps_both_alike(live: changing.Example) -> None:
    contracting.carry_out(compare.verify, live)
    live.execute("ALTER TABLE users ALTER full_name TYPE varchar(80)")
    with pytest.raises(Refused, match="column full_name was altered by other hands"):
        contracting.carry_out(switch.switch, live, percent=10)


def test_what_was_compared_proves_nothing_once_its_revision_compares_otherwise(live: changing.Example) -> None:
    contracting.carry_out(compare.verify, live)
    renaming.write(live, up="upper(r.name)")
    with pytest.raises(Refused, match="it compares otherwise now"):
        contracting.carry_out(switch.switch, live, percent=100)


def test_what_was_compared_proves_nothing_once_a_trigger_was_off_for_a_while(live: changing.Example) -> None:
    contracting.carry_out(compare.verify, live)
    name = trigger(live)
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{name}"')
    live.execute("UPDATE users SET name = 'missed'")
    live.execute(f'ALTER TABLE users ENABLE TRIGGER "{name}"')
    with pytest.raises(Refused, match="verified under other triggers"):
        contracting.carry_out(switch.switch, live, percent=100)
