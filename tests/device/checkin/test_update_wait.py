# SPDX-License-Identifier: Apache-2.0
"""The offer that waits on a device: for what, until when, what is said of it, and what a restart does not change."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock

from armillary.device.checkin.update_wait import MAX_DETAIL_BYTES, REGION, UpdateReason, UpdateWait
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash
from armillary.errors import DataFolderError
from armillary.wire.device.checkin import Offer
from armillary.wire.device.offer_timing import OfferTiming, Window

APP = UUID(int=1)


def offer(when: OfferTiming | None, deployment: UUID | None = None, os_version: str = "") -> Offer:
    return Offer(offer_id=uuid4(), deployment_id=deployment or uuid4(), images=(), when=when, os_version=os_version)


@pytest.fixture
def flash(tmp_path: Path) -> FileFlash:
    return FileFlash(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def waiting(flash: Flash, clock: Clock) -> UpdateWait:
    return UpdateWait(flash, lambda: int(clock.now))


def test_an_offer_without_a_timing_is_due_at_once_and_once(flash: FileFlash, clock: Clock) -> None:
    wait, made = waiting(flash, clock), offer(None)
    assert wait.due() is None
    assert wait.wait_s() == float("inf")
    wait.hear(made)
    assert wait.wait_s() == 0
    assert wait.due() is made
    assert wait.due() is None


def test_a_window_is_waited_for(flash: FileFlash, clock: Clock) -> None:
    wait, now = waiting(flash, clock), int(clock.now)
    made = offer(OfferTiming(windows=(Window(now + 100, now + 200),)))
    wait.hear(made)
    assert wait.due() is None
    assert wait.reason == UpdateReason("window", "", now + 100)
    assert wait.wait_s() == 100
    clock.now += 100
    assert wait.due() is made
    assert wait.reason == UpdateReason()


def test_what_the_service_takes_back_waits_no_more(flash: FileFlash, clock: Clock) -> None:
    wait, now = waiting(flash, clock), int(clock.now)
    wait.hear(offer(OfferTiming(not_before=now + 100)))
    wait.due()
    wait.hear(None)
    clock.now += 1000
    assert (wait.due(), wait.reason) == (None, UpdateReason())


def test_a_lease_that_ends_meanwhile_ends_the_wait_until_the_next_check_in(flash: FileFlash, clock: Clock) -> None:
    wait, now = waiting(flash, clock), int(clock.now)
    timing = OfferTiming(windows=(Window(now + 100, now + 200),), lease_until=now + 50)
    made = offer(timing)
    wait.hear(made)
    assert (wait.due(), wait.wait_s()) == (None, 50)
    clock.now += 150
    assert wait.due() is None, "the window is open, but the roll-out may have been halted"
    assert wait.reason.code == "lease-over"
    assert wait.wait_s() == float("inf")
    renewed = Offer(offer_id=made.offer_id, deployment_id=made.deployment_id, images=(), when=OfferTiming())
    wait.hear(renewed)
    assert wait.due() is renewed


def test_an_application_puts_it_off_to_the_cap_also_over_restarts(flash: FileFlash, clock: Clock) -> None:
    made = offer(OfferTiming(max_deferral_s=3600))
    for restart in range(6):
        wait = waiting(flash, clock)
        wait.hear(made)
        wait.defer(APP, 20)
        assert wait.due() is None, restart
        assert wait.reason.code == "deferred"
        assert str(APP) in wait.reason.detail
        clock.now += 600
    wait = waiting(flash, clock)
    wait.hear(made)
    wait.defer(APP, 20)
    assert wait.due() is made, "an hour is over, whatever it asks for"


def test_another_update_is_heard_of_anew(flash: FileFlash, clock: Clock) -> None:
    deployment = uuid4()
    for os_version in ("", "27.1"):
        wait = waiting(flash, clock)
        wait.hear(offer(OfferTiming(max_deferral_s=3600), deployment, os_version))
        wait.defer(APP, 60)
        assert wait.due() is None
        clock.now += 3600


def test_what_was_put_off_ends_with_the_application_or_its_word(flash: FileFlash, clock: Clock) -> None:
    for end in (lambda wait: wait.forget(APP), lambda wait: wait.defer(APP, 0)):
        wait, made = waiting(flash, clock), offer(OfferTiming(max_deferral_s=3600))
        wait.defer(APP, 30)
        wait.hear(made)
        assert wait.due() is None
        end(wait)
        assert wait.due() is made


def test_urgent_is_not_put_off(flash: FileFlash, clock: Clock) -> None:
    wait, made = waiting(flash, clock), offer(OfferTiming(max_deferral_s=3600, windows=(), urgent=True))
    wait.defer(APP, 30)
    wait.hear(made)
    assert wait.due() is made


def test_what_is_said_fits_into_a_status(flash: FileFlash, clock: Clock) -> None:
    wait = waiting(flash, clock)
    wait.say("refused", "\u00fc" * 1000)
    assert wait.reason.code == "refused"
    assert len(wait.reason.detail.encode()) <= MAX_DETAIL_BYTES
    wait.say("download", "no answer")
    assert wait.reason == UpdateReason("download", "no answer")


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x80", b"\x82\x01\x02"])
def test_a_damaged_record_of_when_it_was_heard_delays_nothing(flash: FileFlash, clock: Clock, data: bytes) -> None:
    flash.write(REGION, data)
    flash.sync(REGION)
    wait, made = waiting(flash, clock), offer(OfferTiming(max_deferral_s=60))
    wait.defer(APP, 10)
    wait.hear(made)
    assert wait.due() is None
    clock.now += 60
    assert wait.due() is made


def test_a_flash_that_fails_delays_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch, flash: FileFlash) -> None:
    def full(*_: object) -> None:
        raise DataFolderError("the disk is full")

    monkeypatch.setattr(FileFlash, "write", full)
    wait, made = waiting(flash, clock), offer(OfferTiming())
    wait.hear(made)
    assert wait.due() is made


def test_an_offer_is_announced_before_it_begins_and_after_it_was_put_off(flash: FileFlash, clock: Clock) -> None:
    told: list[Offer] = []

    def announce(made: Offer) -> int:
        told.append(made)
        return 10

    wait = UpdateWait(flash, lambda: int(clock.now), announce)
    made, now = offer(OfferTiming(max_deferral_s=3600)), int(clock.now)
    wait.hear(made)
    assert wait.due() is None
    assert wait.reason == UpdateReason("deferred", "applications are told of it first", now + 10)
    assert (wait.wait_s(), told) == (10, [made])
    wait.defer(APP, 1)
    clock.now += 59
    assert wait.due() is None
    assert wait.reason.detail == f"component {APP}"
    clock.now += 1
    assert wait.due() is None, "it is announced once more"
    assert len(told) == 2
    clock.now += 10
    wait.hear(made)  # another check-in meanwhile announces nothing anew
    assert wait.due() is made
    assert len(told) == 2


@pytest.mark.parametrize("timing", [None, OfferTiming(urgent=True, max_deferral_s=3600), OfferTiming(max_deferral_s=0)])
def test_what_may_not_be_put_off_is_announced_and_begins(
    flash: FileFlash, clock: Clock, timing: OfferTiming | None
) -> None:
    told: list[Offer] = []
    wait = UpdateWait(flash, lambda: int(clock.now), lambda made: told.append(made) or 10)
    made = offer(timing)
    wait.hear(made)
    assert wait.due() is made
    assert told == [made]
