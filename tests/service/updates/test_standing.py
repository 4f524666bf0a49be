# SPDX-License-Identifier: Apache-2.0
"""Where the update of a device stands: every cause that the service finds, and which one hides which."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.fixtures.reports import installed, reverted

from armillary.errors import NotFoundError
from armillary.rollout.policy import RolloutPolicy
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import OS, UpdateStatus

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")


def code(host: ServiceHost, device: WireDevice) -> str:
    return host.service.updates.standings.of(device.device_id).code


def deploy(host: ServiceHost, package: bytes) -> object:
    image = host.service.updates.images.upload("Contoso", package, actor="t")
    host.service.updates.deployments.create(*HERE, [image.image_id], actor="t")
    return image


def test_from_manufacture_to_an_image_that_is_there(host: ServiceHost, package: Make, clock: Clock) -> None:
    service = host.service
    with host.device(b"a" * 32) as device:
        assert code(host, device) == "unclaimed"
        service.registry.devices.claim("Contoso", [device.device_id], product="Kettle", group="Production", actor="t")
        assert code(host, device) == "never-seen"
        device.check_in()
        assert code(host, device) == "nothing-deployed"
        image = deploy(host, package())
        found = service.updates.standings.of(device.device_id)
        assert (found.code, found.until) == ("check-in-due", int(clock.now) + 3600)
        assert (found.group, found.lacking) == (HERE, ("tap",))
        device.check_in()
        assert code(host, device) == "offered"
        device.installed = (installed(image),)
        device.check_in()
        found = service.updates.standings.of(device.device_id)
        assert (found.code, found.lacking) == ("up-to-date", ())
        assert found.meaning.startswith("The device has everything")


def test_an_image_that_failed_says_why(host: ServiceHost, package: Make) -> None:
    with host.claimed(b"b" * 32) as device:
        image = deploy(host, package())
        offer = device.check_in().offer
        assert offer is not None
        device.check_in(outcomes=(reverted(image, offer_id=offer.offer_id, reason="tap ended 3 times"),))
        found = host.service.updates.standings.of(device.device_id)
        assert (found.code, found.detail) == ("failed-before", "tap ended 3 times")
        deploy(host, package())
        assert code(host, device) == "check-in-due", "another deployment is tried"


def test_what_is_wrong_with_the_device_comes_first(host: ServiceHost, package: Make, clock: Clock) -> None:
    service = host.service
    with host.claimed(b"c" * 32) as device:
        device.check_in()
        deploy(host, package())
        clock.now += 4 * 3600
        assert code(host, device) == "silent"
        service.registry.lifecycle.revoke(device.device_id, reason="stolen", actor="t")
        found = service.updates.standings.of(device.device_id)
        assert (found.code, found.detail) == ("revoked", "stolen")


def test_policies_and_chips(host: ServiceHost, package: Make) -> None:
    service = host.service
    with host.claimed(b"d" * 32, group="Development") as device:
        device.check_in()
        assert code(host, device) == "os-only"
    with host.claimed(b"e" * 32) as device:
        device.check_in()
        deploy(host, package())
        for release in service.releases.list(chip="mt3620"):
            service.releases.withdraw(release.release_id, "a test", actor="t")
        device.check_in()
        assert code(host, device) == "offered", "applications are for devices that may be updated"


def test_a_roll_out_that_has_not_come_to_the_device(host: ServiceHost, package: Make) -> None:
    service = host.service
    nobody_wakes(service)
    with host.claimed(b"f" * 32) as first, host.claimed(b"g" * 32) as second:
        for device in (first, second):
            device.check_in()
        image = service.updates.images.upload("Contoso", package(), actor="t")
        policy = RolloutPolicy(cohorts=(50, 100), soak_s=0)
        rollout = service.updates.rollouts.start(*HERE, [image.image_id], actor="t", policy=policy)
        service.updates.planner.run_once()
        assert sorted(code(host, device) for device in (first, second)) == ["check-in-due", "rollout-waits"]
        service.updates.rollouts.hold(rollout.rollout_id, reason="looks odd", actor="t")
        for device in (first, second):  # one whose turn has not come, and one that is not granted it while it is held
            found = service.updates.standings.of(device.device_id)
            assert (found.code, found.detail, found.rollout_id) == ("rollout-held", "looks odd", rollout.rollout_id)
        service.updates.rollouts.resume(rollout.rollout_id, actor="t")
        assert sorted(code(host, device) for device in (first, second)) == ["check-in-due", "rollout-waits"]


def test_who_has_begun_or_failed_says_so_also_while_the_roll_out_is_held(host: ServiceHost, package: Make) -> None:
    service = host.service
    with host.claimed(b"f" * 32) as device:
        image = service.updates.images.upload("Contoso", package(), actor="t")
        rollout = service.updates.rollouts.start(*HERE, [image.image_id], actor="t")
        service.updates.planner.run_once()
        offer = device.check_in().offer
        assert offer is not None
        service.updates.rollouts.hold(rollout.rollout_id, reason="looks odd", actor="t")
        assert code(host, device) == "offered", "it may be at it"
        device.check_in(outcomes=(reverted(image, offer_id=offer.offer_id, reason="tap ended 3 times"),))
        found = service.updates.standings.of(device.device_id)
        assert (found.code, found.detail) == ("failed-before", "tap ended 3 times")


def test_the_next_check_in_is_reckoned_with_the_interval_of_the_group(host: ServiceHost, clock: Clock) -> None:
    host.service.updates.schedules.put(
        *HERE, actor="t", check_interval_s=7200, zone="UTC", windows=[], max_deferral_s=0
    )
    with host.claimed(b"i" * 32) as device:
        device.check_in()
        assert host.service.updates.standings.of(device.device_id).check_in_by == int(clock.now) + 7200


def test_who_is_let_in_for_less_or_has_no_release_is_told_so(host: ServiceHost) -> None:
    service = host.service
    with host.claimed(b"n" * 32) as device:
        device.check_in()
        for release in service.releases.list(chip="mt3620"):
            service.releases.withdraw(release.release_id, "a test", actor="t")
        assert code(host, device) == "no-release"
        device.check_in()
        assert code(host, device) == "update-only"
        service.context.records.write(lambda c: c.execute(text("UPDATE device_status SET held_at = 1")))
        assert code(host, device) == "held"


def test_a_device_of_before_does_not_update_its_system(host: ServiceHost) -> None:
    service = host.service
    with host.claimed(b"h" * 32) as device:
        device.check_in()
        service.releases.publish("mt3620", "27.1", actor="t")
        found = service.updates.standings.of(device.device_id)
        assert (found.code, found.detail, found.wanted_os_version) == ("os-by-hand", "26.11 to 27.1", "27.1")
        assert found.abilities is None


def test_an_unknown_device_is_not_found(host: ServiceHost) -> None:
    with pytest.raises(NotFoundError):
        host.service.updates.standings.of("00" * 64)


def test_an_operating_system_that_was_reverted_is_said_by_its_version(host: ServiceHost, package: Make) -> None:
    """The deployment runs: what failed is the OS that came with the same offer."""
    service = host.service
    with host.claimed(b"r" * 32) as device:
        image = deploy(host, package())
        device.installed = (installed(image),)
        device.update_status = UpdateStatus(abilities=(OS,))
        bad = service.releases.publish("mt3620", "27.1", actor="t")
        offer = device.check_in().offer
        assert offer is not None
        device.update_status = UpdateStatus(abilities=(OS,), reason="failed-before")
        went_back = reverted(bad.components[0], offer_id=offer.offer_id, reason="it did not start 2 times")
        device.check_in(outcomes=(went_back,))
        found = service.updates.standings.of(device.device_id)
        assert (found.code, found.detail) == ("os-reverted", "OS 27.1: it did not start 2 times")
        assert "operating system" in found.meaning
        assert "publish a release" in found.remedy
        assert "deploy" not in found.meaning + found.remedy
        history = service.registry.history
        assert history.names_of(history.outcomes(device_id=device.device_id).items, catalog="Contoso") == ["OS 27.1"]
        service.releases.publish("mt3620", "27.2", actor="t")
        assert code(host, device) == "check-in-due", "another release is tried"
        device.update_status = UpdateStatus(abilities=(OS,))
        device.check_in()
        assert code(host, device) == "offered"
