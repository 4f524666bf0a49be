# SPDX-License-Identifier: Apache-2.0
"""Reading metadata and verifying who signed it; what is stricter here than in the library that reads the format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from securesystemslib.signer import SSlibKey
from tests.fixtures.tuf_repository import NOW, TufRepository, private_key, signer
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from armillary.errors import ExpiredMetadataError, MetadataFormatError, UnsignedMetadataError
from armillary.update.repository.metadata import Current, Verified, in_force, keys_of, read, verify


@pytest.fixture
def repository() -> TufRepository:
    return TufRepository()


def timestamp(repository: TufRepository) -> bytes:
    return repository.files["metadata/timestamp.json"]


def test_signed_metadata_is_verified_and_keeps_the_bytes_as_they_came(repository: TufRepository):
    data = timestamp(repository) + b"\n "
    verified = verify(read(Timestamp, data, role="timestamp"), repository.root)
    assert (verified.role, verified.data, verified.signed.version) == ("timestamp", data, 1)
    current = in_force(verified, now=NOW)
    assert isinstance(current, Current)
    assert isinstance(current, Verified)


def test_it_expires_at_the_very_second(repository: TufRepository):
    verified = verify(read(Timestamp, timestamp(repository), role="timestamp"), repository.root)
    end = int(repository.expires.timestamp())
    in_force(verified, now=end - 1)
    with pytest.raises(ExpiredMetadataError, match="role 'timestamp' version 1 expired at"):
        in_force(verified, now=end)


def test_one_key_under_two_ids_is_one_signer(repository: TufRepository):
    """Whoever holds one key of a role must not reach a threshold of two by having it listed twice."""
    key = signer(1).public_key
    keyval = {"public": key.keyval["public"].replace("\n", "\r\n")}  # another spelling of the same key as well
    twin = SSlibKey("0" * 64, key.keytype, key.scheme, keyval)
    repository.root.add_key(twin, "timestamp")
    repository.root.roles["timestamp"].threshold = 2
    document = json.loads(timestamp(repository))
    document["signatures"].append({**document["signatures"][0], "keyid": twin.keyid})
    unverified = read(Timestamp, json.dumps(document).encode(), role="timestamp")
    assert len(keys_of(repository.root, "timestamp")) == 1
    with pytest.raises(UnsignedMetadataError, match="expected signatures of 2 of its 2 keys, got 1"):
        verify(unverified, repository.root)
    # The library counts ids: without our count the attack gets through.
    repository.root.verify_delegate("timestamp", unverified.payload, dict(unverified.signatures))


def test_one_bad_signature_beside_enough_good_ones_does_no_harm(repository: TufRepository):
    repository.keys("timestamp", [1, 2], threshold=1)
    document = json.loads(repository.signed("timestamp", repository.timestamp))
    for bad in ("", "00", "zz", document["signatures"][1]["sig"]):
        document["signatures"][0]["sig"] = bad
        verify(read(Timestamp, json.dumps(document).encode(), role="timestamp"), repository.root)


def test_two_signatures_under_one_id_are_refused(repository: TufRepository):
    document = json.loads(timestamp(repository))
    document["signatures"] *= 2
    with pytest.raises(MetadataFormatError):
        read(Timestamp, json.dumps(document).encode(), role="timestamp")


def test_a_change_of_one_signed_value_is_noticed(repository: TufRepository):
    data = timestamp(repository).replace(b'"version":1', b'"version":9')
    with pytest.raises(UnsignedMetadataError):
        verify(read(Timestamp, data, role="timestamp"), repository.root)


def test_a_role_that_nobody_delegates_to_is_refused(repository: TufRepository):
    unverified = read(Targets, repository.files["metadata/1.targets.json"], role="os")
    for delegator in (repository.root, repository.roles["targets"]):
        with pytest.raises(UnsignedMetadataError, match="nobody who may delegate to it does"):
            verify(unverified, delegator)
        assert keys_of(delegator, "os") == {}


@pytest.mark.parametrize(
    "unlisted",
    [
        {"keytype": "rsa", "scheme": "pgp+rsa-pkcsv1.5", "keyval": {"private": "", "public": {"e": "03", "n": "21"}}},
        {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": "no key"}},
    ],
)
def test_keys_that_cannot_be_verified_here_count_for_nothing(repository: TufRepository, unlisted: dict[str, Any]):
    """Those of PGP would be verified by another program."""
    document = json.loads(repository.files["metadata/1.root.json"])
    document["signed"]["keys"]["strange"] = unlisted
    document["signed"]["roles"]["timestamp"]["keyids"] = ["strange"]
    root = Metadata[Root].from_bytes(json.dumps(document).encode()).signed
    forged = json.loads(timestamp(repository))
    forged["signatures"][0]["keyid"] = "strange"
    with pytest.raises(UnsignedMetadataError, match="got 0"):
        verify(read(Timestamp, json.dumps(forged).encode(), role="timestamp"), root)


NUMBERS: list[tuple[type, str, list[Any]]] = [
    (Timestamp, "timestamp", ["signed", "version"]),
    (Timestamp, "timestamp", ["signed", "meta", "snapshot.json", "version"]),
    (Timestamp, "timestamp", ["signed", "meta", "snapshot.json", "length"]),
    (Snapshot, "2.snapshot", ["signed", "meta", "targets.json", "version"]),
    (Root, "1.root", ["signed", "roles", "root", "threshold"]),
    (Targets, "2.targets", ["signed", "targets", "x", "length"]),
    (Targets, "2.targets", ["signed", "delegations", "roles", 0, "threshold"]),
]


@pytest.mark.parametrize(("kind", "name", "where"), NUMBERS, ids=["-".join(map(str, each[2])) for each in NUMBERS])
@pytest.mark.parametrize("value", [True, 1.0, "1", [1], float("inf")])
def test_numbers_are_integers(kind: type, name: str, where: list[Any], value: Any):
    """JSON has more that compares like a number; ``True >= 1`` would be a threshold of one."""
    repository = TufRepository()
    repository.delegate("os", ["os/*"])
    repository.add("x", b"x")
    repository.publish("targets", "os")
    document = json.loads(repository.files[f"metadata/{name}.json"])
    inner = document
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    with pytest.raises(MetadataFormatError):
        read(kind, json.dumps(document).encode(), role=name)


def test_keys_are_told_apart_by_what_they_are(repository: TufRepository):
    repository.keys("snapshot", [4, 5])
    found = keys_of(repository.root, "snapshot").values()
    assert [key.keyid for key in found] == [signer(number).public_key.keyid for number in (4, 5)]
    assert private_key(4).public_key() != private_key(5).public_key()
