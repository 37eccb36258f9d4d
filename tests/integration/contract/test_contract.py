"""What stands before a contraction beside its gates, and what a failed one leaves."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbops.engine.patience import Ramp
from dbops.errors import LockBusy, Refused
from dbops.operations.migrate import changes, complete
from dbops.operations.migrate.contract import looking, ready, write
from dbops.operations.migrate.contract.facts import Backups
from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes.shape import OldNames

import changing
import contracting
import renaming

_THROUGH: dict[str, Any] = {
    "backups": Backups(problem="a test"),
    "override": looking.Override(("soak", "statements", "clients", "backup", "rehearsal"), "a test"),
}
_BODY = "def upgrade() -> None:\n    {}\n\n\ndef downgrade() -> None:\n    pass\n"


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        contracting.switched(example)
        yield example


def contract(live: changing.Example, **more: Any) -> None:
    contracting.carry_out(ready.contract, live, **{**_THROUGH, **more})


def held_up(live: changing.Example) -> bool:
    """Say whether the gate within the revision is closed."""
    try:
        live.execute(changes.gate(contracting.CHANGE, OldNames("public.users", ("name",))))
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return True
    return False


def test_revisions_before_it_are_to_run_first(live: changing.Example) -> None:
    live.revision(3, _BODY.format("op.execute('CREATE TABLE other (id int)')"))
    contracting.carry_out(write.write, live, **_THROUGH)
    with pytest.raises(Refused, match="revision 2026_01_01_0003 is to run before 2026_01_01_0002_contract") as told:
        contract(live)
    assert told.value.hint == "dbops migrate up --target example --to 2026_01_01_0003"
    renaming.upgrade(live, "2026_01_01_0003")
    contract(live)
    assert renaming.known(live).state is State.CONTRACTED


def test_a_contraction_of_another_shape_than_its_expansion_is_refused(live: changing.Example) -> None:
    contracting.carry_out(write.write, live, **_THROUGH)
    [file] = live.history.glob("*_contract_*.py")
    file.write_text(file.read_text().replace("DROP COLUMN name", "DROP COLUMN name CASCADE"))
    with pytest.raises(Refused, match="has another shape than 2026_01_01_0002"):
        contract(live)


def test_what_is_not_verified_is_not_contracted_whatever_is_overridden(live: changing.Example) -> None:
    renaming.move(live, State.BACKFILLED)
    every = looking.Override(contracting.GATES, "whatever")
    with pytest.raises(Refused, match="is backfilled: only what is verified or switched"):
        contract(live, override=every)


def test_a_revision_that_fails_takes_the_leave_back(live: changing.Example) -> None:
    contracting.carry_out(write.write, live, **_THROUGH)
    ramp = Ramp(attempts=1, timeout=timedelta(milliseconds=50))
    with psycopg.connect(live.app) as reader:
        reader.execute("SELECT FROM users")
        with pytest.raises(LockBusy):
            contract(live, ramp=ramp)
    assert held_up(live)
    assert [one["revision"] for one in contracting.entries(live, "leave ended")] == ["2026_01_01_0002_contract"]
    assert renaming.known(live).state is State.SWITCHED
    contract(live)
    assert renaming.known(live).state is State.CONTRACTED


def test_a_leave_means_nothing_in_a_copy(live: changing.Example) -> None:
    with live.connect() as connection:
        where = {"target": changing.TARGET, "change": contracting.CHANGE}
        contracting.record.prove(connection, live.run(), **where, kind="leave", evidence={})
    assert not held_up(live)
    contracting.quiet(live)
    with contracting.copied(live):
        assert held_up(live)
        contracting.quiet(live)
    assert not held_up(live)


def test_each_gate_that_was_looked_at_is_kept_with_its_evidence(live: changing.Example) -> None:
    with pytest.raises(looking.GatesClosed) as closed:
        contracting.carry_out(write.write, live, backups=Backups(problem="nobody looked"))
    assert [one.name for one in closed.value.gates] == list(contracting.GATES)
    [kept] = contracting.entries(live, "gates")
    assert {one["name"]: one["evidence"] for one in kept["gates"]}["backup"] == "nobody looked"


def test_a_change_of_which_something_goes_is_complete_when_it_is_contracted(live: changing.Example) -> None:
    shape = renaming.observed(live).shape
    assert shape is not None
    assert not complete.is_complete(contracting.CHANGE, shape, State.SWITCHED)
    assert complete.is_complete(contracting.CHANGE, shape, State.CONTRACTED)
