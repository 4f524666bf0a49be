# SPDX-License-Identifier: Apache-2.0
"""Dumps on a device: made only where they may be, gone when that is taken back, whatever is cut, sent or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.fixtures.dumps import COMPONENT, IMAGE, state

from armillary.device.state import crash_dumps
from armillary.device.state.crash_dumps import MAX_WAITING, DumpQueue
from armillary.device.state.journal import Journal
from armillary.errors import (
    ArmillaryError,
    CrashDumpRefusedError,
    DeviceFault,
    NotFoundError,
    QuarantinedDeviceError,
    RateLimitedError,
    ServiceUnreachableError,
)
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS, SCRUBBED_DUMPS
from armillary.wire.device.crash_dump import parse_dump

pytestmark = pytest.mark.anyio

OWNER, OTHER = UUID(int=1), UUID(int=2)
SECRET = b"a secret"


class Service:
    """Takes dumps, or refuses them."""

    def __init__(self, error: ArmillaryError | None = None) -> None:
        self.error = error
        self.taken: list[bytes] = []

    async def send_crash_dump(self, data: bytes) -> UUID:
        if self.error is not None:
            raise self.error
        self.taken.append(data)
        return UUID(int=9)


def queue(flash: Any, boot_count: int = 1) -> DumpQueue:
    return DumpQueue(flash, Journal(None, lambda: 0), lambda: 1_790_000_000, boot_count)


def consented(flash: Any, consent: int = FULL_DUMPS, crashes: int = 1) -> DumpQueue:
    dumps = queue(flash)
    dumps.hear(consent, OWNER)
    for _ in range(crashes):
        dumps.add(COMPONENT, IMAGE, state())
    return dumps


def has_secret(flash: CutFlash) -> bool:
    return any(SECRET in content for content in (*flash.durable.values(), *flash.pending.values()))


def test_without_consent_nothing_is_captured_and_nothing_is_written() -> None:
    flash = CutFlash()
    dumps = consented(flash, NO_DUMPS)
    assert len(dumps) == 0
    assert flash.durable == {}


def test_a_device_that_has_heard_nothing_captures_nothing() -> None:
    dumps = queue(CutFlash())
    dumps.add(COMPONENT, IMAGE, state())
    assert len(dumps) == 0


@pytest.mark.parametrize(("consent", "kept"), [(SCRUBBED_DUMPS, False), (FULL_DUMPS, True)])
async def test_what_may_be_kept_is_kept_and_sent_once(consent: int, kept: bool) -> None:
    flash, service = CutFlash(), Service()
    dumps = consented(flash, consent)
    assert has_secret(flash) == kept
    await dumps.send(service)
    await dumps.send(service)
    (data,) = service.taken
    assert (SECRET in data) == kept
    found = parse_dump(data)
    assert (found.component_id, found.image_id, found.boot_count) == (COMPONENT, IMAGE, 1)
    assert found.state.frames == state().frames
    assert len(queue(flash)) == 0


def test_consent_that_is_taken_back_deletes_what_waits() -> None:
    flash = CutFlash()
    dumps = consented(flash)
    assert has_secret(flash)
    dumps.hear(NO_DUMPS, OWNER)
    assert (len(dumps), has_secret(flash)) == (0, False)
    dumps.add(COMPONENT, IMAGE, state())
    assert len(queue(flash)) == 0


def test_consent_to_less_scrubs_what_waits() -> None:
    flash = CutFlash()
    consented(flash).hear(SCRUBBED_DUMPS, OWNER)
    assert has_secret(flash) is False
    assert len(queue(flash)) == 1


def test_a_new_owner_gets_nothing_of_the_one_before() -> None:
    flash = CutFlash()
    consented(flash).hear(FULL_DUMPS, OTHER)
    assert (len(queue(flash)), has_secret(flash)) == (0, False)


async def test_mutation_without_the_owner_they_would_be_sent_to_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    flash, service = CutFlash(), Service()
    dumps = consented(flash)
    monkeypatch.setattr(dumps, "_catalog_id", OTHER.bytes)
    dumps.hear(FULL_DUMPS, OTHER)
    await dumps.send(service)
    assert SECRET in service.taken[0]


async def test_after_a_restart_nothing_is_sent_before_a_reply_was_heard() -> None:
    flash, service = CutFlash(), Service()
    consented(flash)
    again = queue(flash, boot_count=2)
    await again.send(service)
    assert (len(again), service.taken) == (1, [])
    again.hear(FULL_DUMPS, OWNER)
    await again.send(service)
    assert len(service.taken) == 1


def test_a_loop_of_crashes_fills_a_bounded_place() -> None:
    flash = CutFlash()
    assert len(consented(flash, crashes=20)) == MAX_WAITING


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (RateLimitedError("busy", retry_after_s=1), True),
        (ServiceUnreachableError("gone"), True),
        (DeviceFault("quarantine", code=QuarantinedDeviceError.code), True),
        (DeviceFault("not wanted", code=CrashDumpRefusedError.code), False),
        (DeviceFault("malformed", code="wire.malformed"), False),
        (DeviceFault("a service of before", code=NotFoundError.code), False),
    ],
)
async def test_a_refused_dump_waits_or_goes(error: ArmillaryError, waits: bool) -> None:
    flash = CutFlash()
    dumps = consented(flash)
    await dumps.send(Service(error))
    assert len(queue(flash)) == int(waits)


def before_and_after(change: Callable[[DumpQueue], None]) -> tuple[list[int], list[int]]:
    """How many dumps a device finds when the power goes at each operation of a change, and its consent then."""
    counts, consents = [], []
    for cut_at in range(1, 100):
        flash = CutFlash()
        consented(flash)
        cut = CutFlash(flash.durable, cut_at=cut_at, seed=cut_at)
        try:
            change(queue(cut))
        except PowerCutError:
            found = queue(CutFlash(cut.durable))
            counts.append(len(found))
            consents.append(found._consent)
        else:
            return counts, consents
    raise AssertionError("it never ended")


def test_whatever_is_cut_off_taking_back_happened_or_did_not() -> None:
    counts, consents = before_and_after(lambda dumps: dumps.hear(NO_DUMPS, OWNER))
    assert set(zip(counts, consents, strict=True)) == {(1, FULL_DUMPS), (0, NO_DUMPS)}


def test_whatever_is_cut_off_a_new_dump_is_there_or_is_not() -> None:
    counts, _ = before_and_after(lambda dumps: dumps.add(COMPONENT, IMAGE, state()))
    assert set(counts) == {1, 2}


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xa0", b"\xa3\x01\x02\x02\x41a\x03\x81\x41x", b"\xa1\x01\x61a"])
def test_a_damaged_region_is_as_good_as_none(content: bytes) -> None:
    flash = CutFlash({crash_dumps._REGION: content})
    assert len(consented(flash)) == 1
