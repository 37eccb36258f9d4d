"""What becomes of a table's own triggers while it is filled is the operator's choice, and must be made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbops.errors import Refused
from dbops.operations.migrate.backfill.facts import Firing

import filling

THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text, updated_at timestamptz DEFAULT '2020-01-01');
    CREATE TABLE audit_log (id bigserial, what text);
    INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 2000) n;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN NEW.updated_at = now(); RETURN NEW; END$$;
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.audit_log (what) VALUES (TG_OP); RETURN NULL; END$$;
    CREATE FUNCTION alike() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.b = upper(NEW.a); RETURN NEW; END$$;
    CREATE TRIGGER things_stamp BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE TRIGGER things_audit AFTER INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE TRIGGER on_insert_only AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE TRIGGER disabled AFTER UPDATE ON things FOR EACH ROW EXECUTE FUNCTION audit();
    ALTER TABLE things DISABLE TRIGGER disabled;
    CREATE TRIGGER "~dbops_up_things-b_things" BEFORE INSERT OR UPDATE ON things FOR EACH ROW
        EXECUTE FUNCTION alike();
    CREATE PUBLICATION everything FOR TABLE things;"""
FILLED = "SELECT count(*)::int FROM things WHERE b = upper(a)"
STAMPED = "SELECT count(*)::int FROM things WHERE updated_at <> '2020-01-01'"
AUDITED = "SELECT count(*)::int FROM audit_log"


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


def test_triggers_that_a_batch_would_fire_have_to_be_chosen_for(things: filling.Change) -> None:
    with pytest.raises(Refused) as refused:
        things.fill()
    for told in ("things_audit on public.things calls public.audit()", "things_stamp on public.things calls"):
        assert told.replace("public.", "") in refused.value.message.replace("public.", "")
    for silent in ("on_insert_only", "disabled", "~dbops"):
        assert silent not in refused.value.message
    assert things.ask("SELECT count(b)::int FROM things") == 0


def test_fired_triggers_do_what_they_do_for_any_update(things: filling.Change) -> None:
    things.fill(firing=Firing.FIRE)
    assert (things.ask(FILLED), things.ask(STAMPED), things.ask(AUDITED)) == (2000, 2000, 2000)
    assert things.life.entries[-1].detail["triggers"] == "fired"
    assert things.steps() == []  # nothing is left: nothing has to be chosen


def test_suppressed_triggers_leave_audit_and_stamps_as_they_were(things: filling.Change) -> None:
    """The owner may not suppress them: the cluster's administrator sets it, and the owner's role does the rest."""
    things.fill(firing=Firing.SUPPRESS)
    assert (things.ask(FILLED), things.ask(STAMPED), things.ask(AUDITED)) == (2000, 0, 0)
    assert things.life.entries[-1].detail["triggers"] == "suppressed"
    assert things.ask("SELECT count(*)::int FROM dbops.entries WHERE kind = 'state'") == 3


def test_an_owner_who_may_suppress_them_needs_no_administrator(things: filling.Change) -> None:
    owner = things.ask("SELECT quote_ident(current_user)")
    grant = f"GRANT SET ON PARAMETER session_replication_role TO {owner}"
    things.live.execute(grant, dsn=things.live.admin)
    text = things.live.toml.read_text()
    things.live.toml.write_text(text.replace("secrets/admin", "secrets/none"))
    assert [finding.code for finding in things.fill(firing=Firing.SUPPRESS)] == ["DBM302"]
    assert (things.ask(FILLED), things.ask(STAMPED), things.ask(AUDITED)) == (2000, 0, 0)
    things.live.execute(f"REVOKE SET ON PARAMETER session_replication_role FROM {owner}", dsn=things.live.admin)


def test_nobody_who_may_suppress_them_is_a_refusal(things: filling.Change) -> None:
    text = things.live.toml.read_text()
    things.live.toml.write_text(text.replace("secrets/admin", "secrets/none"))
    with pytest.raises(Refused, match="neither the owner nor"):
        things.fill(firing=Firing.SUPPRESS)
    assert things.ask("SELECT count(b)::int FROM things") == 0


def test_triggers_and_publications_are_told_with_the_rows_that_they_get(things: filling.Change) -> None:
    notes = things.notes(firing=Firing.SUPPRESS)
    assert any("publication everything sends" in note for note in notes)
    assert any("suppresses things_audit" in note for note in notes)
    assert any("fires things_audit" in note for note in things.notes(firing=Firing.FIRE))
