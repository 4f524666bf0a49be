# SPDX-License-Identifier: Apache-2.0
"""Which profile is in force: signed by a trusted key, never lower than the highest that was taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.guardian.guardian_stage import KEY, prepare, signed_profile, trusted

from armillary.errors import SignatureError
from armillary.guardian.configuration import EquipmentEntry
from armillary.guardian.profiles import ProfileStore
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile import Profile

ENTRY = EquipmentEntry(name="espresso1", profile="profiles/coffee.dsse")


def store(folder: Path, envelope: bytes, *keys: object) -> ProfileStore:
    around = prepare(folder, envelope)
    return ProfileStore(around.image, around.data, keys or [trusted(KEY)])  # type: ignore[arg-type]


def anything(_: Profile) -> None:
    """Every profile can be served."""


def test_the_image_s_profile_is_in_force_until_a_newer_one_came(tmp_path: Path):
    profiles = store(tmp_path, signed_profile())
    assert profiles.load(ENTRY).version == 3
    assert profiles.take(ENTRY, signed_profile(version=5), "guard/coffee", anything).version == 5
    assert store(tmp_path, signed_profile()).load(ENTRY).version == 5
    assert store(tmp_path, signed_profile(version=6)).load(ENTRY).version == 6, "a newer image wins"


def test_an_older_image_is_refused_once_a_newer_one_was_there(tmp_path: Path):
    assert store(tmp_path, signed_profile(version=6)).load(ENTRY).version == 6
    with pytest.raises(ProfileError) as refused:
        store(tmp_path, signed_profile()).load(ENTRY)
    assert refused.value.rule == "rollback"


@pytest.mark.parametrize(
    ("envelope", "rule"),
    [(signed_profile(version=2), "rollback"), (signed_profile("cable"), "name")],
    ids=("older", "other"),
)
def test_what_is_older_or_another_s_is_not_taken(tmp_path: Path, envelope: bytes, rule: str):
    profiles = store(tmp_path, signed_profile())
    profiles.load(ENTRY)
    with pytest.raises(ProfileError) as refused:
        profiles.take(ENTRY, envelope, "guard/coffee", anything)
    assert refused.value.rule == rule
    assert store(tmp_path, signed_profile()).load(ENTRY).version == 3


def test_what_nobody_trusted_has_signed_is_not_served(tmp_path: Path):
    foreign = trusted(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(SignatureError):
        store(tmp_path, signed_profile(), foreign).load(ENTRY)
    changed = signed_profile().replace(b'"sig": "M', b'"sig": "N')
    with pytest.raises(SignatureError):
        store(tmp_path / "changed", changed).load(ENTRY)


def test_one_that_cannot_be_served_is_not_kept(tmp_path: Path):
    profiles = store(tmp_path, signed_profile())

    def no(_: Profile) -> None:
        raise ProfileError("link", expected="another link", got="this")

    with pytest.raises(ProfileError):
        profiles.take(ENTRY, signed_profile(version=9), "guard/coffee", no)
    assert store(tmp_path, signed_profile()).load(ENTRY).version == 3


def test_a_damaged_file_that_was_kept_loses_to_the_image(tmp_path: Path):
    profiles = store(tmp_path, signed_profile())
    profiles.take(ENTRY, signed_profile(version=3), "guard/coffee", anything)
    (profiles.data / "profiles" / "espresso1.dsse").write_bytes(b"{")
    assert store(tmp_path, signed_profile()).load(ENTRY).version == 3
