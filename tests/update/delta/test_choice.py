# SPDX-License-Identifier: Apache-2.0
"""A delta starts from another version of the same component, where it can save anything."""

from __future__ import annotations

from uuid import UUID

import pytest

from armillary.update.delta.choice import MIN_TARGET_BYTES, StoredArtifact, is_worth_it, source_of, stored_artifacts
from armillary.update.install.component import OsPlace
from armillary.update.install.record import InstallRecord, SlotImage
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.image.section import APPLICATIONS
from armillary.wire.update.delta import MAX_ARTIFACT_BYTES

OLD, NEW, ELSE = bytes(32), b"n" * 32, b"e" * 32
ONE, TWO = UUID(int=1), UUID(int=2)
OS_TYPE = 4


def offered(size: int = 50_000, component: UUID = ONE) -> OfferedImage:
    return OfferedImage(
        component_id=component, image_id=UUID(int=9), image_type=APPLICATIONS, name="app", size=size, sha256=NEW
    )


def test_it_starts_from_the_same_component() -> None:
    other, same = StoredArtifact(TWO, OLD, "b"), StoredArtifact(ONE, OLD, "a")
    assert source_of(offered(), [other, same]) == same
    assert source_of(offered(), [other]) is None
    assert source_of(offered(), []) is None


def test_what_is_there_already_is_no_start() -> None:
    assert source_of(offered(), [StoredArtifact(ONE, NEW, "a")]) is None


@pytest.mark.parametrize("size", [0, MIN_TARGET_BYTES - 1, MAX_ARTIFACT_BYTES + 1])
def test_what_is_too_small_or_too_large_has_none(size: int) -> None:
    assert source_of(offered(size), [StoredArtifact(ONE, OLD, "a")]) is None
    assert source_of(offered(MIN_TARGET_BYTES), [StoredArtifact(ONE, OLD, "a")]) is not None


def test_what_saves_less_than_a_tenth_is_none() -> None:
    assert is_worth_it(90, 100)
    assert not is_worth_it(91, 100)


def test_boot_components_are_what_was_measured_and_the_rest_what_the_record_has() -> None:
    """The record may name an OS component that was exchanged in flash since: what booted is what a delta starts from."""
    application = SlotImage(ONE, UUID(int=3), APPLICATIONS, "app", "a", 10, OLD)
    component = SlotImage(TWO, UUID(int=4), OS_TYPE, "kernel", "b", 10, OLD)
    places = [
        OsPlace(component_id=TWO, image_type=OS_TYPE, name="kernel", size_limit_bytes=100, digest=ELSE),
        OsPlace(component_id=UUID(int=5), image_type=OS_TYPE, name="loader", size_limit_bytes=100, digest=NEW),
    ]
    assert stored_artifacts(InstallRecord(active=(application, component)), places) == (
        StoredArtifact(TWO, ELSE, component.region),
        StoredArtifact(UUID(int=5), NEW, "boot/loader"),
        StoredArtifact(ONE, OLD, application.region),
    )
