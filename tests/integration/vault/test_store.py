"""A place for objects: the same promises on a folder, on Azure Blob and on S3."""

from pathlib import Path

import pytest

from dbops.config.model import Place
from dbops.errors import AuthenticationFailed, ConfigInvalid, Refused, Unreachable
from dbops.stores import vault
from dbops.stores.vault import Absent, AlreadyThere, Entry, Store

import places
from azurite import ACCOUNT, Azurite
from moto_s3 import Moto

_MEGABYTE = 1 << 20


def read(store: Store, name: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join(store.read(name, start=start, length=length))


def names(store: Store, prefix: str = "") -> list[str]:
    return [entry.name for entry in store.listing(prefix)]


def test_what_was_written_once_stays_as_it_is(store: Store) -> None:
    store.put_new("a/manifest.json", b"one")
    with pytest.raises(AlreadyThere):
        store.put_new("a/manifest.json", b"two")
    assert store.get("a/manifest.json") == b"one"


def test_the_same_bytes_may_be_put_twice_because_an_answer_can_be_lost(store: Store) -> None:
    store.put_new("a/manifest.json", b"one")
    store.put_new("a/manifest.json", b"one")


@pytest.mark.parametrize("size", [0, 1, 8 * _MEGABYTE, 8 * _MEGABYTE + 1, 20 * _MEGABYTE])
def test_what_is_streamed_in_comes_out_again(store: Store, size: int) -> None:
    data = places.noise(size)
    with store.writing("a/b/data") as target:
        for at in range(0, size, _MEGABYTE):
            target.write(data[at : at + _MEGABYTE])
    assert read(store, "a/b/data") == data
    assert store.head("a/b/data") == Entry("a/b/data", size, next(store.listing("a/b/")).modified)


def test_any_part_can_be_read(store: Store) -> None:
    data = places.noise(10 * _MEGABYTE)
    with store.writing("data") as target:
        target.write(data)
    for start, length in ((0, 1), (1, 9 * _MEGABYTE), (_MEGABYTE, 5), (9 * _MEGABYTE, 5 * _MEGABYTE), (5, 0)):
        assert read(store, "data", start, length) == data[start : start + length]
    assert read(store, "data", len(data)) == b""


@pytest.mark.parametrize("size", [10, 20 * _MEGABYTE])
def test_nothing_is_seen_of_a_write_before_it_is_complete_nor_after_it_failed(store: Store, size: int) -> None:
    def fail_in_the_middle() -> None:
        with store.writing("a/data") as target:
            target.write(places.noise(size))
            assert names(store) == []
            raise KeyError(size)

    with pytest.raises(KeyError):
        fail_in_the_middle()
    assert names(store) == []
    assert store.head("a/data") is None


def test_a_listing_tells_names_below_a_prefix_and_keeps_folders_together(store: Store) -> None:
    for name in ("a/1", "a/z/1", "a/b-c/1", "a/b/1", "ab/1", "top"):
        store.put_new(name, name.encode())
    assert sorted(names(store)) == ["a/1", "a/b-c/1", "a/b/1", "a/z/1", "ab/1", "top"]
    assert sorted(names(store, "a/")) == ["a/1", "a/b-c/1", "a/b/1", "a/z/1"]
    assert names(store, "nothing/") == []
    assert {entry.size for entry in store.listing("a/b/")} == {5}


def test_more_objects_than_fit_into_one_page_are_listed(store: Store) -> None:
    wanted = [f"many/{n:04}" for n in range(1100 if store.url.startswith("file") else 120)]
    for name in wanted:
        store.put_new(name, b"")
    assert sorted(names(store, "many/")) == wanted


def test_removing_what_is_gone_is_no_error(store: Store) -> None:
    store.put_new("a/b/c", b"1")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert names(store) == []


def test_what_is_not_there_is_told_as_absent(store: Store) -> None:
    assert store.head("nothing") is None
    for attempt in (lambda: store.get("nothing"), lambda: read(store, "nothing")):
        with pytest.raises(Absent) as caught:
            attempt()
        assert caught.value.target == "vault"


def test_a_probe_leaves_nothing_behind(store: Store) -> None:
    store.probe(writable=True)
    assert names(store) == []


def test_an_error_of_whoever_writes_is_not_taken_for_one_of_the_vault(store: Store) -> None:
    def fail() -> None:
        with store.writing("data") as target:
            target.write(b"1")
            raise TimeoutError("the source")

    with pytest.raises(TimeoutError, match="the source"):
        fail()


def test_a_place_that_does_not_exist_is_told(place: Place) -> None:
    elsewhere = place.model_copy(update={"url": place.url.replace("some", "c0", 1).replace("va%20ult", "none")})
    if not place.url.startswith("file"):
        scheme, _, rest = place.url.partition("://")
        parts = rest.split("/")
        parts[1 if scheme == "azure" else 0] = "nowhere-at-all"
        elsewhere = place.model_copy(update={"url": f"{scheme}://{'/'.join(parts)}"})
    store = vault.connect(elsewhere, target="vault")
    for attempt in (store.probe, lambda: store.put_new("a", b"1"), lambda: list(store.listing())):
        with pytest.raises((Refused, Unreachable)) as caught:
            attempt()
        assert caught.value.target == "vault"
        assert caught.value.hint
        assert not isinstance(caught.value, Absent)


def test_a_server_that_does_not_answer_is_unreachable(folder: Path, azure: Azurite, s3: Moto) -> None:
    away = [
        places.azurite_place(folder, azure, f"http://127.0.0.1:1/{ACCOUNT}"),
        places.s3_place(folder, s3, "http://127.0.0.1:1"),
    ]
    for place in away:
        with pytest.raises(Unreachable) as caught:
            vault.connect(place, target="vault").probe()
        assert "Debug source" not in caught.value.message


def test_a_wrong_key_is_told_as_such(folder: Path, azure: Azurite) -> None:
    key = places.secret(folder, "bm90IHRoaXMgb25l")
    place = places.azurite_place(folder, azure).model_copy(update={"key": key})
    with pytest.raises(AuthenticationFailed):
        vault.connect(place, target="vault").probe()


def test_a_shared_access_signature_lets_in_and_is_never_shown(folder: Path, azure: Azurite) -> None:
    sas = azure.sas()
    place = places.azurite_place(folder, azure).model_copy(update={"key": None, "sas": places.secret(folder, sas)})
    store = vault.connect(place, target="vault")
    store.probe(writable=True)
    signature = sas.rpartition("sig=")[2]
    broken = places.secret(folder, sas.replace(signature, "bm90LXRoZS1vbmU%3D"))
    with pytest.raises(AuthenticationFailed) as caught:
        vault.connect(place.model_copy(update={"sas": broken}), target="vault").put_new("a", b"1")
    assert "sig=" not in caught.value.message
    assert "bm90LXRoZS1vbmU" not in caught.value.message


def test_a_token_of_azure_identity_is_not_sent_over_an_open_line(folder: Path, azure: Azurite) -> None:
    place = places.azurite_place(folder, azure).model_copy(update={"key": None})
    with pytest.raises(ConfigInvalid, match="open line"):
        vault.connect(place, target="vault")


def test_without_a_key_s3_is_reached_with_the_credentials_of_the_environment(
    folder: Path, s3: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = places.s3_place(folder, s3).model_copy(update={"key": None, "key_id": None})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    vault.connect(place, target="vault").probe(writable=True)


def test_a_key_without_its_id_is_refused(folder: Path, s3: Moto) -> None:
    with pytest.raises(ConfigInvalid):
        vault.connect(places.s3_place(folder, s3).model_copy(update={"key_id": None}), target="vault")


def test_http_is_only_spoken_where_the_endpoint_says_so(folder: Path, s3: Moto) -> None:
    place = places.s3_place(folder, s3, s3.endpoint.replace("http://", "https://"))
    with pytest.raises(Unreachable):
        vault.connect(place, target="vault").probe()


@pytest.mark.parametrize(
    "url", ["file://host/x", "file:///", "ftp://x/y", "azure://account", "s3://", "file:///a/../b"]
)
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ConfigInvalid):
        vault.connect(Place(url=url), target="vault")


def test_the_storage_class_of_a_tier_reaches_the_service(folder: Path, s3: Moto, azure: Azurite) -> None:
    place = places.s3_place(folder, s3)
    store = vault.connect(place, target="vault")
    with store.writing("small", storage_class="STANDARD_IA") as target:
        target.write(b"1")
    with store.writing("large", storage_class="GLACIER_IR") as target:
        target.write(places.noise(9 * _MEGABYTE))
    _, listed = s3.ask("GET", f"/{place.url.split('/')[2]}?list-type=2")
    assert b"STANDARD_IA" in listed
    assert b"GLACIER_IR" in listed
    assert store.keeps_classes
    place = places.azurite_place(folder, azure)
    store = vault.connect(place, target="vault")
    for name, size in (("small", 1), ("large", 9 * _MEGABYTE)):
        with store.writing(name, storage_class="Cool") as target:
            target.write(places.noise(size))
    assert azure.listed(place.url.split("/")[3]).count("<AccessTier>Cool<") == 2


def test_a_failed_upload_leaves_no_parts_that_cost_money(folder: Path, s3: Moto) -> None:
    place = places.s3_place(folder, s3)
    store = vault.connect(place, target="vault")

    def fail() -> None:
        with store.writing("large") as target:
            for _ in range(20):
                target.write(places.noise(_MEGABYTE))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert b"<Upload>" not in s3.ask("GET", f"/{place.url.split('/')[2]}?uploads")[1]


def test_what_killed_writers_left_in_a_folder_is_invisible_and_swept(folder: Path) -> None:
    place = places.folder_place(folder)
    store = vault.connect(place, target="vault")
    store.put_new("a/b/kept", b"1")
    (folder / "va ult/a/b/data.unfinished-00ff00ff").write_bytes(b"half")
    assert names(store) == ["a/b/kept"]
    assert store.sweep("a/") == 1
    assert names(store) == ["a/b/kept"]
    assert [path.name for path in (folder / "va ult/a/b").iterdir()] == ["kept"]
