"""Where a path really lies, as mountinfo tells."""

import pytest

from dbops.operations.clusters.restore.mounts import Spot, parse, relation, spot

_INFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 8:2 / /var/lib rw - ext4 /dev/sdb1 rw
31 22 8:2 /postgresql/15 /mnt/my\040disk rw - ext4 /dev/sdb1 rw
32 22 0:40 / /mnt/other rw - tmpfs none rw
33 22 8:1 / /mnt/other rw - ext4 /dev/sda1 rw
"""


def test_a_bind_mount_lies_where_the_files_are() -> None:
    mounts = parse(_INFO)
    assert spot("/mnt/my disk/main/base", mounts) == Spot("8:2", "/postgresql/15/main/base")
    assert spot("/var/lib/postgresql/15/main", mounts) == Spot("8:2", "/postgresql/15/main")
    assert spot("/home/x", mounts) == Spot("8:1", "/home/x")


def test_what_is_mounted_over_another_mount_hides_it() -> None:
    assert spot("/mnt/other/a", parse(_INFO)) == Spot("8:1", "/a")
    assert spot("/mnt/other/a", parse(_INFO), "0:40") == Spot("0:40", "/a")


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("/a/b", "/a/b", "is"),
        ("/a/b/c", "/a/b", "lies in"),
        ("/a", "/a/b", "contains"),
        ("/a/bc", "/a/b", None),
        ("/", "/a", "contains"),
    ],
)
def test_places_of_one_file_system_are_compared_by_their_folders(one: str, other: str, told: str | None) -> None:
    assert relation(Spot("8:1", one), Spot("8:1", other)) == told
    assert relation(Spot("8:1", one), Spot("8:2", other)) is None
