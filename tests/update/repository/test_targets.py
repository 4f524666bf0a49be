# SPDX-License-Identifier: Apache-2.0
"""What a refreshed repository vouches for: addresses of artifacts, keys of the director."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.signer import SSlibKey
from tests.fixtures.tuf_repository import Client, TufRepository, private_key, signer

from armillary.errors import MismatchError, UnsignedMetadataError
from armillary.update.repository.targets import VerifiedTarget, address_of


def target(path: str, **hashes: str) -> VerifiedTarget:
    return VerifiedTarget(path, 3, hashes or {"sha256": "ab" * 32}, "targets")


def test_the_hash_stands_before_the_name_with_consistent_snapshots():
    assert address_of(target("os/mt3620/26.11/kernel"), consistent=True) == f"os/mt3620/26.11/{'ab' * 32}.kernel"
    assert address_of(target("kernel"), consistent=True) == f"{'ab' * 32}.kernel"
    assert address_of(target("os/kernel"), consistent=False) == "os/kernel"


def test_what_is_special_in_an_address_is_quoted():
    assert address_of(target("a b/c?d#e", sha256="../x"), consistent=True) == "a%20b/..%2Fx.c%3Fd%23e"


def test_an_artifact_without_sha256_is_none_for_a_device():
    assert target("x", sha256="ab" * 32).sha256 == b"\xab" * 32
    for hashes in ({"sha512": "ab" * 64}, {"sha256": "no hex"}):
        with pytest.raises(MismatchError, match="expected a sha256"):
            _ = target("x", **hashes).sha256


def test_keys_of_the_director_are_those_of_its_role_in_the_top_level_targets():
    repository = TufRepository()
    client = Client(repository)
    assert client.refresh().director_keys() == ()
    repository.delegate("director", ["director/*"], key=50, make=False)
    repository.roles["targets"].add_key(signer(51).public_key, "director")
    repository.delegate("os", ["os/*"], key=52)
    repository.publish("targets", "os")
    found = client.refresh().director_keys()
    assert [(key.key_id, key.public_key) for key in found] == [
        (signer(number).public_key.keyid, private_key(number).public_key()) for number in (50, 51)
    ]


def test_a_director_that_needs_two_signatures_has_no_keys():
    repository = TufRepository()
    repository.delegate("director", ["director/*"], key=50, threshold=2, make=False)
    repository.publish("targets")
    with pytest.raises(UnsignedMetadataError, match="expected a threshold of 1, got 2"):
        Client(repository).refresh().director_keys()


def test_keys_of_another_kind_than_directives_have_are_left_out():
    repository = TufRepository()
    repository.delegate("director", ["director/*"], key=50, make=False)
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        repository.roles["targets"].add_key(SSlibKey.from_crypto(key.public_key()), "director")
    repository.publish("targets")
    assert [key.key_id for key in Client(repository).refresh().director_keys()] == [signer(50).public_key.keyid]
