# SPDX-License-Identifier: Apache-2.0
"""Attacks on feeds on their way into a service, and on the count of who is affected; each with its control."""

from __future__ import annotations

from typing import Any

import pytest
from tests.service.advisories.conftest import advisory_folder, clock, fleet
from tests.service.advisories.fleet import HOUR_S, OTHER_KEY, AdvisoryFleet, bundle, osv

from armillary.advisory.assessment import State
from armillary.engines.records.advisories.software import SoftwareSet
from armillary.errors import ConflictError, NotFoundError, SignatureError
from armillary.service.advisories import exposure
from armillary.service.advisories.imports import Imports
from armillary.wire.encoding import cose

__all__ = ["advisory_folder", "clock", "fleet"]
NAME, BAD, GOOD = "PYSEC-2026-1", "pkg:pypi/django@3.2.10", "pkg:pypi/django@4.2.1"


def replayed(fleet: AdvisoryFleet) -> None:
    """Whoever carries bundles brings one of last week, from before the advisory was published."""
    old = fleet.file(bundle([osv("A-2", "flask")], as_of=fleet.clock() - 7 * 24 * HOUR_S))
    fleet.feed(osv(NAME), osv("A-2", "flask"))
    fleet.advisories.import_bundle(old, actor="courier")


def test_a_feed_of_before_hides_nothing(fleet: AdvisoryFleet) -> None:
    device = fleet.device(fleet.image(BAD))
    with pytest.raises(ConflictError, match="is held"):
        replayed(fleet)
    assert fleet.affected(NAME) == [device]


def test_mutation_without_the_time_of_a_feed(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Imports, "_check", lambda *_: None)
    fleet.device(fleet.image(BAD))
    replayed(fleet)
    with pytest.raises(NotFoundError):
        fleet.show(NAME)


def test_a_feed_that_somebody_else_signed_is_not_taken(fleet: AdvisoryFleet) -> None:
    with pytest.raises(SignatureError):
        fleet.feed(osv(NAME), key=OTHER_KEY)
    assert fleet.advisories.feeds() == ()


def test_mutation_without_the_signature_of_a_feed(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cose, "verify_sign1", lambda message, *_, **__: message.payload)
    fleet.feed(osv(NAME), key=OTHER_KEY)
    assert [each.name for each in fleet.advisories.feeds()] == ["osv-pypi"]


def said_to_be_repaired(fleet: AdvisoryFleet) -> dict[str, int]:
    """A device whose boot was changed reports the repaired image."""
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    good = fleet.image(GOOD)
    fleet.feed(osv(NAME))
    fleet.runs(fleet.device(fleet.image(BAD)), good, verdict="update-only")
    return fleet.states(NAME)


def test_a_device_that_does_not_attest_is_not_counted_as_repaired(fleet: AdvisoryFleet) -> None:
    assert said_to_be_repaired(fleet) == {"unknown": 1}


def test_mutation_without_the_attestation_of_a_set(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = exposure._States._state

    def believing(self: Any, one: SoftwareSet, *where: Any) -> State:
        return real(self, one._replace(attested=True), *where)

    monkeypatch.setattr(exposure._States, "_state", believing)
    assert said_to_be_repaired(fleet) == {"fixed": 1}
