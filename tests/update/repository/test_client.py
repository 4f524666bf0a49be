# SPDX-License-Identifier: Apache-2.0
"""The client workflow: what is asked for, kept and refused, role by role (TUF 1.0.34 §5)."""

from __future__ import annotations

import pytest
from tests.fixtures.tuf_repository import DAY_S, NOW, Client, TufRepository, moment

from armillary.errors import (
    ExpiredMetadataError,
    MetadataFormatError,
    MismatchError,
    RepositoryError,
    RollbackError,
    TargetNotFoundError,
    TransferError,
    UnsignedMetadataError,
)
from armillary.update.repository import limits


@pytest.fixture
def repository() -> TufRepository:
    return TufRepository()


@pytest.fixture
def client(repository: TufRepository) -> Client:
    return Client(repository)


def test_the_first_refresh_fetches_all_and_the_next_only_looks(repository: TufRepository, client: Client):
    client.refresh()
    assert client.fetcher.asked == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    assert client.store.kept == {
        "root": repository.files["metadata/1.root.json"],
        "timestamp": repository.files["metadata/timestamp.json"],
        "snapshot": repository.files["metadata/1.snapshot.json"],
        "targets": repository.files["metadata/1.targets.json"],
    }
    client.store.log.clear()
    client.refresh()
    assert client.fetcher.asked == ["2.root.json", "timestamp.json"]
    assert client.store.log == []  # nothing new: nothing is written to flash


def test_without_a_first_root_nothing_is_asked(client: Client):
    client.store.kept.clear()
    with pytest.raises(RepositoryError, match="no root"):
        client.refresh()
    assert client.fetcher.asked == []


@pytest.mark.parametrize("damage", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"signed":{"_type":"root"}}'])
def test_a_damaged_first_root_is_refused_and_nothing_is_asked(client: Client, damage: bytes):
    client.store.kept["root"] = damage
    with pytest.raises(MetadataFormatError):
        client.refresh()
    assert client.fetcher.asked == []


def test_roots_are_followed_one_by_one_and_each_is_kept(repository: TufRepository, client: Client):
    for _ in range(3):
        repository.publish("root")
    client.refresh()
    assert client.fetcher.asked[:4] == ["2.root.json", "3.root.json", "4.root.json", "5.root.json"]
    assert client.store.log[:3] == [("keep", "root")] * 3
    assert client.versions()["root"] == 4


@pytest.mark.parametrize("version", [1, 3])
def test_no_root_is_left_out_or_taken_twice(repository: TufRepository, client: Client, version: int):
    """Whoever skips a root skips the one that took a stolen key away."""
    repository.publish("root")
    repository.publish("root")
    repository.files["metadata/2.root.json"] = repository.files[f"metadata/{version}.root.json"]
    with pytest.raises(RollbackError, match=f"root: expected version 2, got {version}"):
        client.refresh()
    assert client.versions() == {"root": 1}


def test_a_source_that_invents_roots_for_ever_is_cut_off(
    repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "MAX_ROOT_ROTATIONS", 2)
    for _ in range(3):
        repository.publish("root")
    client.refresh()
    assert client.versions()["root"] == 3  # the rest at the next refresh
    client.refresh()
    assert client.versions()["root"] == 4


def test_an_expired_root_leads_to_the_next_and_is_not_enough_itself(repository: TufRepository, client: Client):
    repository.root.expires = moment(NOW - DAY_S)
    repository.publish("root")
    with pytest.raises(ExpiredMetadataError, match="root"):
        client.refresh()
    assert client.versions() == {"root": 2}
    repository.root.expires = moment(NOW + DAY_S)
    repository.publish("root")
    client.refresh()
    assert client.versions()["root"] == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_metadata_is_refused_and_not_kept(repository: TufRepository, client: Client, role: str):
    client.refresh()
    document = {"timestamp": repository.timestamp, "snapshot": repository.snapshot}.get(
        role, repository.roles["targets"]
    )
    document.expires = moment(NOW - 1)
    repository.publish(role)
    with pytest.raises(ExpiredMetadataError, match=role):
        client.refresh()
    assert client.versions()[role] == 1
    client.refresh(NOW - 60)  # the same bytes a minute earlier


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_metadata_signed_by_the_keys_of_another_role_is_refused(repository: TufRepository, client: Client, role: str):
    repository.signers[role] = [7]
    repository.publish("root", "targets")
    with pytest.raises(UnsignedMetadataError, match=f"role '{role}' version 2"):
        client.refresh()
    assert client.versions().get(role) == (1 if role == "root" else None)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_threshold_is_a_number_of_different_keys(repository: TufRepository, client: Client, role: str):
    repository.keys(role, [5, 6, 7], threshold=2)
    repository.publish("root", "targets")
    client.refresh()
    repository.signers[role] = [6]
    repository.publish("targets")
    with pytest.raises(UnsignedMetadataError, match="expected signatures of 2 of its 3 keys, got 1"):
        client.refresh()


def test_a_new_root_needs_the_old_keys_and_the_new(repository: TufRepository, client: Client):
    repository.keys("root", [8])
    for signing in ([8], [0]):
        repository.signers["root"] = signing
        repository.publish("root")
        with pytest.raises(UnsignedMetadataError):
            client.refresh()
        repository.root.version -= 1
    repository.signers["root"] = [0, 8]
    repository.publish("root")
    client.refresh()
    assert client.versions()["root"] == 2


def test_versions_never_fall(repository: TufRepository, client: Client):
    old = dict(repository.files)
    repository.publish("targets")
    client.refresh()
    client.fetcher.files = old
    with pytest.raises(RollbackError, match="timestamp: expected version 2 or later, got 1"):
        client.refresh()
    repository.snapshot.version = 0
    repository.publish("snapshot")
    client.fetcher.files = repository.files
    with pytest.raises(RollbackError, match="expected snapshot version 2 or later, got 1"):
        client.refresh()


def test_a_role_of_targets_never_falls_nor_disappears(repository: TufRepository, client: Client):
    repository.delegate("os", ["os/*"])
    repository.publish("targets", "os")
    repository.publish("os")
    client.refresh()
    repository.roles["os"].version = 0
    repository.publish("os")
    with pytest.raises(RollbackError, match=r"os\.json version 2 or later, got 1"):
        client.refresh()
    del repository.snapshot.meta["os.json"]
    repository.publish("snapshot")
    with pytest.raises(RollbackError, match=r"os\.json to be listed still"):
        client.refresh()


@pytest.mark.parametrize("roles", [["timestamp"], ["snapshot"], ["timestamp", "snapshot"]])
def test_after_a_fast_forward_new_keys_bring_versions_back(repository: TufRepository, client: Client, roles: list[str]):
    """A thief of the keys of timestamp and snapshot has announced versions from the far future."""
    repository.snapshot.version = repository.timestamp.version = 10**6
    repository.publish("targets")
    client.refresh()
    assert client.versions()["snapshot"] == 10**6 + 1
    repository.snapshot.version = repository.timestamp.version = 1
    repository.publish("targets")
    with pytest.raises(RollbackError):
        client.refresh()
    for number, role in enumerate(roles):
        repository.keys(role, [30 + number])
    repository.publish("root", "targets")
    client.refresh()
    assert client.versions()["snapshot"] == 3
    log = client.store.log
    assert log.index(("forget", "timestamp")) < log.index(("keep", "root"))


def test_a_key_that_is_added_takes_nothing_back(repository: TufRepository, client: Client):
    client.refresh()
    repository.keys("timestamp", [1, 31])
    repository.publish("root")
    client.refresh()
    assert ("forget", "timestamp") not in client.store.log


def test_a_snapshot_that_is_not_the_announced_one_is_refused(repository: TufRepository, client: Client):
    for hashes in (True, False):
        repository.hashes = hashes
        repository.publish("targets")
        announced = f"metadata/{repository.snapshot.version}.snapshot.json"
        older = f"metadata/{repository.snapshot.version - 1}.snapshot.json"
        repository.files[announced] = repository.files[older]
        with pytest.raises((MismatchError, TransferError)):  # the longer one is not even read
            client.refresh()


def test_equal_timestamps_keep_the_first(repository: TufRepository, client: Client):
    client.refresh()
    repository.timestamp.snapshot_meta.version = 77
    repository.files["metadata/timestamp.json"] = repository.signed("timestamp", repository.timestamp)
    client.refresh()
    assert client.fetcher.asked == ["2.root.json", "timestamp.json"]


def test_a_kept_timestamp_that_expired_is_still_compared_with(repository: TufRepository, client: Client):
    repository.timestamp.expires = moment(NOW + DAY_S)
    repository.publish("timestamp")
    client.refresh()
    repository.timestamp.version, repository.timestamp.expires = 0, moment(NOW + 9 * DAY_S)
    repository.publish("timestamp")
    with pytest.raises(RollbackError):
        client.refresh(NOW + 2 * DAY_S)
    repository.timestamp.version = 2
    repository.publish("timestamp")
    client.refresh(NOW + 2 * DAY_S)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_what_is_damaged_in_flash_is_fetched_again(repository: TufRepository, client: Client, role: str):
    client.refresh()
    good = client.store.kept[role]
    for damage in (good[:-1], b"", good.replace(b'"version":1', b'"version":2', 1)):
        client.store.kept[role] = damage
        client.refresh()
        assert client.store.kept[role] == good


@pytest.mark.parametrize(
    ("name", "trusted"), [("timestamp.json", {"root"}), ("1.snapshot.json", {"root", "timestamp"})]
)
def test_a_file_that_nobody_has_ends_the_refresh(client: Client, name: str, trusted: set[str]):
    client.fetcher.twist = lambda asked, data: None if asked == name else data
    with pytest.raises(TransferError, match="no source has the version that is announced"):
        client.refresh()
    assert client.store.kept.keys() == trusted


def test_a_timestamp_longer_than_any_is_not_read(repository: TufRepository, client: Client):
    repository.files["metadata/timestamp.json"] += b" " * limits.MAX_TIMESTAMP_BYTES
    with pytest.raises(TransferError):
        client.refresh()


def test_metadata_of_another_type_under_the_right_keys_is_refused(repository: TufRepository, client: Client):
    repository.files["metadata/timestamp.json"] = repository.signed("timestamp", repository.snapshot)
    with pytest.raises(MetadataFormatError, match="expected type timestamp, got snapshot"):
        client.refresh()


# -- artifacts ----------------------------------------------------------------------------------------------------


def test_an_artifact_is_found_by_its_delegation(repository: TufRepository, client: Client):
    repository.delegate("os", ["os/*/*/*"], key=20)
    repository.delegate("catalog-1", ["catalogs/1/*"], key=21)
    repository.add("os/mt3620/26.11/kernel", b"kernel", role="os", custom={"security_version": 3})
    repository.add("catalogs/1/app", b"app", role="catalog-1")
    repository.publish("targets", "os", "catalog-1")
    found = client.target("os/mt3620/26.11/kernel")
    assert (found.length, found.role, found.custom) == (6, "os", {"security_version": 3})
    assert client.fetcher.asked[-1] == "1.os.json"  # the other catalog's metadata is nobody's business here
    assert client.target("catalogs/1/app").role == "catalog-1"


def test_a_role_names_nothing_outside_its_paths(repository: TufRepository, client: Client):
    repository.delegate("catalog-1", ["catalogs/1/*"])
    repository.add("os/mt3620/26.11/kernel", b"evil", role="catalog-1")
    repository.add("catalogs/1/deep/er", b"evil", role="catalog-1")
    repository.publish("targets", "catalog-1")
    for path in ("os/mt3620/26.11/kernel", "catalogs/1/deep/er"):
        with pytest.raises(TargetNotFoundError):
            client.target(path)


def test_a_terminating_delegation_ends_the_search(repository: TufRepository, client: Client):
    repository.delegate("first", ["a/*"], key=20, terminating=True)
    repository.delegate("second", ["a/*"], key=21)
    repository.add("a/x", b"from the second", role="second")
    repository.publish("targets", "first", "second")
    with pytest.raises(TargetNotFoundError):
        client.target("a/x")
    assert repository.roles["targets"].delegations is not None
    assert repository.roles["targets"].delegations.roles is not None
    repository.roles["targets"].delegations.roles["first"].terminating = False
    repository.publish("targets")
    assert client.target("a/x").role == "second"


def test_a_terminating_delegation_ends_the_search_for_those_above_it_too(repository: TufRepository, client: Client):
    repository.delegate("first", ["a/*"], key=20, terminating=False)
    repository.delegate("second", ["a/*"], key=21, terminating=False)
    repository.delegate("below", ["a/*"], by="first", key=22, terminating=True)
    repository.add("a/x", b"from the second", role="second")
    repository.publish("targets", "first", "second", "below")
    with pytest.raises(TargetNotFoundError):
        client.target("a/x")
    assert client.fetcher.asked[-2:] == ["1.first.json", "1.below.json"]


def test_a_delegated_role_is_verified_for_each_delegator(repository: TufRepository, client: Client):
    """Two branches delegate to one role name with different keys: what the one vouches for says nothing for the other."""
    repository.delegate("team-a", ["a/*"], key=20)
    repository.delegate("team-b", ["b/*"], key=21)
    repository.delegate("release", ["a/*"], by="team-a", key=22)
    repository.delegate("release", ["b/*"], by="team-b", key=23, make=False)
    repository.add("a/x", b"good", role="release")
    repository.add("b/x", b"evil", role="release")
    repository.publish("targets", "team-a", "team-b", "release")

    assert client.target("a/x").role == "release"
    with pytest.raises(UnsignedMetadataError, match="release"):
        client.target("b/x")


def test_a_circle_of_delegations_ends(repository: TufRepository, client: Client):
    repository.delegate("one", ["*"], key=20, terminating=False)
    repository.delegate("two", ["*"], by="one", key=21, terminating=False)
    repository.delegate("one", ["*"], by="two", key=20, terminating=False, make=False)
    repository.publish("targets", "one", "two")
    with pytest.raises(TargetNotFoundError, match="no role that may name it does"):
        client.target("x")


def test_a_search_visits_so_many_roles_and_no_more(
    repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "MAX_DELEGATIONS", 3)
    names = [f"r{number}" for number in range(4)]
    for name in names:
        repository.delegate(name, ["*"], terminating=False, key=20)
    repository.add("x", b"x", role="r3")
    repository.publish("targets", *names)
    with pytest.raises(TargetNotFoundError, match="the search ended after 3 roles"):
        client.target("x")
    monkeypatch.setattr(limits, "MAX_DELEGATIONS", 5)
    assert client.target("x").role == "r3"


def test_a_role_that_the_snapshot_does_not_list_is_not_asked_for(repository: TufRepository, client: Client):
    repository.delegate("os", ["os/*"], make=False)
    repository.publish("targets")
    with pytest.raises(MismatchError, match="the snapshot does not list it"):
        client.target("os/x")
    assert "1.os.json" not in client.fetcher.asked


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a//b", "a/../b", "..", "a/", "x" * 600])
def test_a_path_that_could_mean_another_file_is_refused(client: Client, path: str):
    with pytest.raises(RepositoryError, match="no path of an artifact"):
        client.target(path)


@pytest.mark.parametrize("role", ["?", "#", "/r", "../r", "a b%"])
def test_the_name_of_a_role_is_quoted(repository: TufRepository, client: Client, role: str):
    repository.delegate(role, ["x"])
    repository.add("x", b"x", role=role)
    repository.publish("targets", role)
    assert client.target("x").role == role
    assert "/" not in client.fetcher.asked[-1]
