"""What a kill leaves in a folder that nobody can see: the next run of the same verb removes it, and no other's."""

from collections.abc import Iterator
from pathlib import Path

from dbops.copies import artifact
from dbops.stores import vault
from dbops.stores.vault import Entry
from dbops.stores.vault.folder import Folder

import vaults
from places import SUBJECT, folder_place


class _Shared(Folder):
    """A vault from which somebody removes an artifact while we look: after its listing, before its manifest is read."""

    gone: str

    def listing(self, prefix: str = "") -> Iterator[Entry]:
        entries = list(super().listing(prefix))
        for entry in entries:
            if entry.name.startswith(self.gone):
                self.delete(entry.name)
        yield from entries


def test_an_artifact_that_is_removed_while_we_look_is_left_out(folder: Path) -> None:
    first, second, third = (vaults.put(folder / "v", day=day) for day in (1, 2, 3))
    shared = _Shared(folder / "v", "vault")
    shared.gone = second
    found = [one.address.folder.rstrip("/") for one in artifact.listing(shared)]
    assert found == [first, third]


def test_a_file_that_was_never_finished_goes_with_the_next_run_of_its_kind(folder: Path) -> None:
    place = folder_place(folder)
    target = folder / "va ult" / "cosmos" / "workflows"
    gone = target / "20260701T000000.000Z-export" / "construction.json.unfinished-0a1b2c3d"
    kept = target / "20260701T000000.000Z-backup" / "part.unfinished-0a1b2c3d"
    for left in (gone, kept):
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
    with artifact.write(vault.connect(place, target="vault"), SUBJECT, run="a") as writer:
        with writer.file("a") as sink:
            sink.write(b"whole")
        writer.finish()
    assert not gone.exists()
    assert kept.exists(), "another verb may be writing it just now"
