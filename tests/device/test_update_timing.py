# SPDX-License-Identifier: Apache-2.0
"""A device obeys the timing of an offer: it waits and says so, begins by itself when its time comes, or not at all."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.checkin.fetch import ArtifactFetch
from armillary.device.checkin.schedule import CheckInSchedule
from armillary.device.checkin.update_wait import UpdateWait
from armillary.device.offers import Offers, RefusedOffer, TakenOffer
from armillary.engines.sandbox.port import OutputLine
from armillary.errors import FlashFullError, RepositoryError
from armillary.wire.device.checkin import Offer
from armillary.wire.device.offer_timing import OfferTiming, Window

pytestmark = pytest.mark.anyio


def deployed(rig: Rig, timing: OfferTiming, **capabilities: Any) -> Offer:
    """An application is offered with a timing."""
    offer = replace(rig.service.deploy(rig.service.application(**capabilities)), when=timing)
    rig.service.offer = offer
    return offer


def said(rig: Rig) -> list[str]:
    """The reasons that the device gave with its check-ins."""
    return [request.update_status.reason for request, _ in rig.service.checks if request.update_status is not None]


async def test_an_offer_waits_for_its_window_and_says_so(rig: Rig) -> None:
    now = int(time.time())
    deployed(rig, OfferTiming(windows=(Window(now + 3600, now + 7200),)))
    device = await rig.start()
    await until(lambda: rig.status().get("last_check_in") and rig.events("update-waits"), "it says that it waits")
    await until(lambda: rig.status().get("update", {}).get("reason"), "its status says so too")
    assert rig.status()["update"] == {"reason": "window", "detail": "", "until": now + 3600}
    device.check_in_now()
    await until(lambda: "window" in said(rig), "the service is told")
    assert rig.events("update-offered") == []
    rig.service.offer = replace(rig.service.offer, when=OfferTiming(urgent=True, windows=()))
    device.check_in_now()
    await until(lambda: rig.events("update-started"), "urgent is not waited for")


async def test_a_window_that_opens_is_used_without_another_check_in(rig: Rig) -> None:
    now = int(time.time())
    deployed(rig, OfferTiming(windows=(Window(now + 2, now + 3600),)))
    await rig.start()
    await until(lambda: rig.status().get("last_check_in") and rig.events("update-waits"), "it says that it waits")
    checked = len(rig.service.checks)
    await until(lambda: rig.events("update-started"), "the window opens")
    assert len(rig.service.checks) == checked
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "the update is confirmed")


async def test_a_lease_that_is_over_is_not_begun(rig: Rig) -> None:
    deployed(rig, OfferTiming(lease_until=int(time.time()) - 1))
    device = await rig.start()
    await until(lambda: rig.status().get("last_check_in") and rig.events("update-waits"), "it says that it waits")
    device.check_in_now()
    await until(lambda: "lease-over" in said(rig), "the service is told")
    assert rig.events("update-offered") == []


async def test_a_lease_that_ends_while_the_images_come_is_not_switched_to(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is halted meanwhile, for all the device knows: it asks again before it goes on."""
    until_then, fetched, due = int(time.time()) + 3600, ArtifactFetch.fetch, UpdateWait.due
    waits: list[UpdateWait] = []

    def seen(self: UpdateWait) -> Offer | None:
        waits.append(self)
        return due(self)

    device = await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "it has checked in")

    async def slowly(self: ArtifactFetch, *given: Any) -> bytes:
        package = await fetched(self, *given)
        waits[-1]._now = lambda: until_then
        return package

    monkeypatch.setattr(ArtifactFetch, "fetch", slowly)
    monkeypatch.setattr(UpdateWait, "due", seen)
    deployed(rig, OfferTiming(lease_until=until_then))
    device.check_in_now()
    await until(lambda: rig.events("update-postponed"), "the lease is over")
    assert rig.events("update-started") == []
    assert rig.status()["update"]["reason"] == "lease-over"


async def test_an_application_puts_off_the_next_update(rig: Rig) -> None:
    deployed(rig, OfferTiming(max_deferral_s=3600), SoftwareUpdateDeferral=True)
    device = await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "the application runs")
    rig.sandbox.events[-1](OutputLine("stdout", "armillary: defer-update 60", 0.0))
    deployed(rig, OfferTiming(max_deferral_s=3600), SoftwareUpdateDeferral=True)
    device.check_in_now()
    await until(lambda: rig.status().get("update", {}).get("reason") == "deferred", "the update is put off")
    started = len(rig.events("update-started"))
    rig.sandbox.events[-1](OutputLine("stdout", "armillary: defer-update 0", 0.0))
    await until(lambda: len(rig.events("update-started")) > started, "it begins once it may")


async def test_a_refused_update_says_why(rig: Rig) -> None:
    offer = deployed(rig, OfferTiming())
    image = offer.images[0]
    rig.service.images[str(image.image_id)] = rig.service.images[str(image.image_id)][:-1] + b"\0"
    device = await rig.start()
    await until(lambda: rig.status().get("last_check_in") and rig.events("update-refused"), "it refuses it")
    device.check_in_now()
    await until(lambda: "failed-before" in said(rig) or "refused" in said(rig), "the service is told")


async def test_what_is_too_large_for_the_chip_is_said_to_have_no_room(rig: Rig) -> None:
    offer = deployed(rig, OfferTiming())
    rig.service.offer = replace(offer, images=(replace(offer.images[0], size=1 << 30),))
    await rig.start()
    await until(lambda: "no-room" in said(rig), "the service is told")


async def test_a_flash_that_is_full_is_said_to_have_no_room_and_the_offer_stays(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FlashFullError("the set needs 2 bytes of flash: expected at most the 1 bytes that are free")

    settled: list[str] = []
    monkeypatch.setattr(CheckInSchedule, "offer_settled", lambda _: settled.append("settled"))
    with pytest.MonkeyPatch.context() as without_room:
        without_room.setattr(TakenOffer, "check_room", full)
        deployed(rig, OfferTiming())
        await rig.start()
        await until(lambda: "no-room" in said(rig), "the service is told")
        assert rig.events("update-refused") == []
        assert settled == [], "it comes less and less often"
    await until(lambda: rig.events("update-started"), "it is installed once there is room")
    await until(lambda: settled, "and what fails next is tried again soon")


async def test_an_application_for_another_os_is_said_not_to_fit(rig: Rig) -> None:
    rig.service.offer = rig.service.deploy(rig.service.application(needs_os=(7,)))
    await rig.start()
    await until(lambda: "does-not-fit" in said(rig), "the service is told")


@pytest.mark.parametrize(("again", "reason"), [(False, "repository"), (True, "download")])
async def test_an_offer_that_the_repository_does_not_bear_out_says_why(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, again: bool, reason: str
) -> None:
    async def refuse(*_: object) -> RefusedOffer:
        return RefusedOffer(RepositoryError("timestamp: it ended yesterday", remedy=""), again=again)

    monkeypatch.setattr(Offers, "take", refuse)
    deployed(rig, OfferTiming())
    device = await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "it has checked in")
    if not again:
        device.check_in_now()
    await until(lambda: reason in said(rig), "the service is told, soon by itself where that may help")
    told = [request.update_status for request, _ in rig.service.checks if request.update_status is not None]
    assert {one.detail for one in told if one.reason == reason} == {"timestamp: it ended yesterday"}
    assert rig.events("update-offered") == []
