# SPDX-License-Identifier: Apache-2.0
"""The assessment of real devices: gathered from what their check-ins left."""

from __future__ import annotations

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries.security import assessments as rows
from armillary.errors import NotFoundError
from armillary.service.assessment.assessment import Assessment, DeviceAssessment, trusted_bases
from armillary.service.assessment.properties import ABSENT, OUT_OF_SCOPE, PRESENT, PROPERTIES, STALE, STATES
from armillary.service.verifier.releases import FIRST_VERSION
from armillary.sim.device.service_host import ServiceHost


def states(found: DeviceAssessment) -> dict[str, str]:
    return {each.name: answer.state for each, answer in found.answers}


def test_a_device_is_assessed_by_what_it_proved_last(host: ServiceHost, clock: Clock) -> None:
    assessment = Assessment(host.service.context)
    device = host.claimed(b"1" * 32)
    assert set(states(assessment.of_device(device.device_id)).values()) == {ABSENT}  # nothing is known of it
    device.check_in()
    found = assessment.of_device(device.device_id.upper())
    assert (found.tier, found.health) == ("software", "attested")
    shown = states(found)
    assert shown["certificate-based-authentication"] == shown["error-reporting"] == PRESENT
    assert shown["small-trusted-computing-base"] == PRESENT
    assert shown["hardware-root-of-trust"] == ABSENT  # its key is a file
    (release,) = (each for each in host.service.releases.list() if each.chip == "mt3620")
    size = sum(part.size for part in release.components)
    base = next(answer for each, answer in found.answers if each.name == "small-trusted-computing-base")
    assert f"{size:,} bytes" in base.says

    clock.now += host.service.context.silent_after_s + 1
    assert set(states(assessment.of_device(device.device_id)).values()) == {STALE}
    host.service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="t")
    assert set(states(assessment.of_device(device.device_id)).values()) == {OUT_OF_SCOPE}
    with pytest.raises(NotFoundError):
        assessment.of_device("0" * 128)


def test_a_fleet_is_counted_as_its_devices_are_assessed(host: ServiceHost) -> None:
    assessment = Assessment(host.service.context)
    host.catalog("Fabrikam", "Kettle")
    devices = [host.claimed(bytes([number]) * 32) for number in range(4)]
    theirs = host.claimed(b"t" * 32, catalog="Fabrikam")
    for each in (*devices[:3], theirs):
        each.check_in()
    host.device(b"u" * 32)  # nobody's

    fleet = assessment.of_fleet("contoso")
    assert fleet.devices == sum(fleet.tiers.values()) == 4
    singly = [states(assessment.of_device(each.device_id)) for each in devices]
    for count in fleet.properties:
        assert count.states == {state: sum(one[count.each.name] == state for one in singly) for state in STATES}
        assert sum(one.devices for one in count.reasons) == 4
        assert {one.example for one in count.reasons} <= {each.device_id for each in devices}
    assert [count.each for count in fleet.properties] == list(PROPERTIES)
    assert assessment.of_fleet().devices == 6
    with pytest.raises(NotFoundError):
        assessment.of_fleet("Nobody")


def test_a_million_devices_are_some_kinds(host: ServiceHost) -> None:
    devices = [host.claimed(bytes([number]) * 32) for number in range(5)]
    for each in devices:
        each.check_in()
    kinds = host.service.context.records.read(
        lambda c: rows.alike(c, catalog_id=None, device_id=None, **host.service.context.as_of)
    )
    (kind,) = kinds
    assert (kind.devices, kind.example) == (5, min(each.device_id for each in devices))


def test_a_withdrawn_release_is_compared_with_nothing(host: ServiceHost) -> None:
    broken = host.service.releases.publish("mt3620", "27.1", actor="t")
    host.service.releases.withdraw(broken.release_id, "it does not boot", actor="t")
    host.service.releases.publish("mt3620", "27.2", actor="t")
    bases = trusted_bases(host.service.releases.list(chip="mt3620"), now=0)
    before = bases["mt3620", "27.2"].before
    assert before is not None
    assert before[1] == FIRST_VERSION
