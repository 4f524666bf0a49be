# SPDX-License-Identifier: Apache-2.0
"""What a device is offered: the OS that it does not measure, with its applications and its timing, in one offer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from tests.fixtures.clocks import Clock
from tests.fixtures.reports import installed

from armillary.engines.records.schema.rows import Image
from armillary.engines.records.schema.update_rows import DEFAULT_DEFERRAL_S
from armillary.service.updates.offers import Offers
from armillary.service.verifier.verifier import HELD_INTERVAL_S
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, components_of
from armillary.wire.device.checkin import MAX_OFFERED, Offer
from armillary.wire.device.offer_timing import OfferTiming
from armillary.wire.device.update_status import OS, UpdateStatus

Make = Callable[..., bytes]
CHIP = "mt3620"
HERE = ("Contoso", "Kettle", "Production")
ABLE = UpdateStatus(abilities=(OS,))
ANY_TIME: dict[str, Any] = {"check_interval_s": None, "zone": "UTC", "windows": [], "max_deferral_s": 0}


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    """A device that updates its OS by itself, in the production group."""
    with host.claimed(b"o" * 32) as made:
        made.update_status = ABLE
        assert made.check_in().offer is None
        yield made


def boot(host: ServiceHost, device: WireDevice, version: str) -> None:
    """Start the device with the components of a release."""
    release = next(one for one in host.service.releases.list(chip=CHIP) if one.version == version)
    device.prover.components = components_of(host.service.releases.packages(release))
    device.prover.os_version = version
    device.prover.boot()


def deployed(host: ServiceHost, package: Make) -> Image:
    image = host.service.updates.images.upload("Contoso", package(), actor="t")
    host.service.updates.deployments.create(*HERE, [image.image_id], actor="t")
    return image


def offered(device: WireDevice) -> Offer:
    offer = device.check_in().offer
    assert offer is not None
    return offer


def test_a_new_release_is_offered_until_it_was_booted(host: ServiceHost, device: WireDevice) -> None:
    release = host.service.releases.publish(CHIP, "27.1", actor="t")
    offer = offered(device)
    assert (offer.offer_id, offer.deployment_id, offer.os_version) == (release.release_id, None, "27.1")
    assert [(i.name, i.sha256) for i in offer.images] == [(one.name, one.digest) for one in release.components]
    packages = host.service.releases.packages(release)
    for image in offer.images:
        assert device.exchange("GET", f"/v1/images/{image.image_id}").body == packages[image.name]
    device.prover.os_version = "27.1"
    assert device.check_in().offer is not None, "what counts is measured, not said"
    boot(host, device, "27.1")
    reply = device.check_in()
    assert (reply.verdict, reply.offer) == ("attested", None)


def test_system_and_applications_are_one_offer(host: ServiceHost, device: WireDevice, package: Make) -> None:
    image = deployed(host, package)
    assert offered(device).os_version == ""
    host.service.releases.publish(CHIP, "27.1", actor="t")
    offer = offered(device)
    assert (offer.os_version, offer.deployment_id is None) == ("27.1", False)
    assert image.image_id in {one.image_id for one in offer.images}
    assert len(offer.images) == 1 + len(host.service.releases.newest(CHIP).components)
    boot(host, device, "27.1")
    offer = offered(device)
    assert (offer.os_version, [one.image_id for one in offer.images]) == ("", [image.image_id])
    device.installed = (installed(image),)
    assert device.check_in().offer is None


def test_what_is_more_than_one_offer_holds_comes_one_after_the_other(
    host: ServiceHost, device: WireDevice, package: Make
) -> None:
    images = [host.service.updates.images.upload("Contoso", package(), actor="t") for _ in range(MAX_OFFERED - 1)]
    host.service.updates.deployments.create(*HERE, [one.image_id for one in images], actor="t")
    host.service.releases.publish(CHIP, "27.1", actor="t")
    offer = offered(device)
    assert (offer.os_version, offer.deployment_id) == ("27.1", None)
    boot(host, device, "27.1")
    offer = offered(device)
    assert (offer.os_version, len(offer.images)) == ("", len(images))


def test_a_device_of_before_gets_what_it_got(host: ServiceHost, device: WireDevice, package: Make) -> None:
    image = deployed(host, package)
    host.service.releases.publish(CHIP, "27.1", actor="t")
    for status in (None, UpdateStatus(abilities=())):
        device.update_status = status
        offer = offered(device)
        assert (offer.os_version, [one.image_id for one in offer.images]) == ("", [image.image_id])
    standing = host.service.updates.standings.of(device.device_id)
    assert standing.wanted_os_version == "27.1"


def test_the_os_alone_where_the_policy_says_so(host: ServiceHost, device: WireDevice, package: Make) -> None:
    deployed(host, package)
    host.service.registry.groups.update(*HERE, update_policy="No3rdPartyAppUpdates", actor="t")
    host.service.releases.publish(CHIP, "27.1", actor="t")
    offer = offered(device)
    assert (offer.os_version, offer.deployment_id) == ("27.1", None)


def test_evaluation_first_then_everybody(host: ServiceHost, device: WireDevice) -> None:
    draft = host.service.attestation.drafts.create(CHIP, "27.1", os_abi=5, actor="t")
    host.service.attestation.drafts.publish(draft.release_id, actor="t")
    with host.claimed(b"e" * 32, group="Production OS Evaluation") as tries:
        tries.update_status = ABLE
        offer = offered(tries)
        assert (offer.os_version, offer.os_abi) == ("27.1", 5)
        assert device.check_in().offer is None
        host.service.attestation.drafts.promote(draft.release_id, actor="t")
        assert offered(device).os_version == "27.1"


def test_a_device_held_at_updates_only_is_offered_what_heals_it(host: ServiceHost, device: WireDevice) -> None:
    host.service.releases.publish(CHIP, "27.1", actor="t")
    boot(host, device, "27.1")
    assert device.check_in().verdict == "attested"
    good = device.prover.components
    device.prover.components = (*good[:-1], replace(good[-1], content=good[-1].content + b"!"))
    device.prover.boot()
    reply = device.check_in()
    assert reply.verdict == "update-only"
    assert reply.offer is not None, "the release that it is meant to have, although it says that it has it"
    assert reply.offer.os_version == "27.1"
    assert reply.next_check_in_s <= HELD_INTERVAL_S
    boot(host, device, "27.1")
    reply = device.check_in()
    assert (reply.verdict, reply.offer) == ("attested", None)


def test_a_release_that_is_revoked_leads_back(host: ServiceHost, device: WireDevice) -> None:
    bad = host.service.releases.publish(CHIP, "27.1", actor="t")
    boot(host, device, "27.1")
    assert device.check_in().offer is None
    host.service.releases.withdraw(bad.release_id, "it does not cool", actor="t")
    reply = device.check_in()
    assert reply.verdict == "update-only"
    assert reply.offer is not None
    assert reply.offer.os_version == "26.11"


def test_an_offer_says_when_and_a_device_of_before_is_offered_nothing_outside(
    host: ServiceHost, device: WireDevice, package: Make, clock: Clock
) -> None:
    deployed(host, package)
    host.service.updates.schedules.put(*HERE, actor="t", **{**ANY_TIME, "windows": ["daily 03:00-04:00"]})
    when = offered(device).when
    assert when is not None
    assert when.windows is not None
    device.update_status = None
    assert device.check_in().offer is None, "it is midnight"
    assert host.service.updates.standings.of(device.device_id).code == "check-in-due"
    clock.now += 3 * 3600
    assert offered(device).when is None, "it does not know of windows"
    host.service.updates.schedules.urge(*HERE, reason="the lock opens", actor="t")
    clock.now += 2 * 3600
    assert device.check_in().offer is not None
    device.update_status = ABLE
    when = offered(device).when
    assert when is not None
    assert when.urgent


def test_what_a_device_says_is_kept_when_it_says_something_new(
    host: ServiceHost, device: WireDevice, package: Make, clock: Clock
) -> None:
    deployed(host, package)
    device.check_in()
    since = int(clock.now)
    device.update_status = UpdateStatus(abilities=(OS,), reason="window", until=since + 900)
    device.check_in()
    clock.now += 60
    device.check_in()
    found = host.service.updates.standings.of(device.device_id)
    assert (found.code, found.until, found.abilities) == ("window", since + 900, (OS,))

    def stored() -> dict[str, Any]:
        query = text("SELECT update_status FROM device_status WHERE update_status IS NOT NULL")
        return json.loads(host.service.context.records.read(lambda c: c.execute(query).scalar_one()))  # type: ignore[no-any-return]

    assert stored()["since"] == since
    device.update_status = UpdateStatus(abilities=(OS,), reason="download", detail="no answer")
    device.check_in()
    assert stored()["since"] == since + 60
    found = host.service.updates.standings.of(device.device_id)
    assert (found.code, found.detail) == ("download", "no answer")
    host.service.releases.publish(CHIP, "27.1", actor="t")
    assert host.service.updates.standings.of(device.device_id).wanted_os_version == "27.1"


def test_in_steady_state_nothing_is_looked_up(
    host: ServiceHost, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.check_in()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("looked up")

    for name in ("wanted", "wanted_os", "offer", "schedule"):
        monkeypatch.setattr(Offers, name, never)
    assert device.check_in().verdict == "attested"


def test_applications_may_put_off_an_update_for_a_day_where_nobody_says_otherwise(
    host: ServiceHost, device: WireDevice, package: Make
) -> None:
    deployed(host, package)
    assert offered(device).when == OfferTiming(max_deferral_s=DEFAULT_DEFERRAL_S)
    host.service.updates.schedules.put(*HERE, actor="t", **ANY_TIME)
    assert offered(device).when == OfferTiming()
