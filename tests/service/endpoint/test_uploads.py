# SPDX-License-Identifier: Apache-2.0
"""Crash dumps at the endpoint: one of a device at a time, and the next one at once when it has heard of the first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from armillary.errors import ArmillaryError, NotFoundError, QuarantinedDeviceError, RateLimitedError, WireError
from armillary.service.endpoint.uploads import Keep, UploadKind, Uploads, crash_dumps, device_logs
from armillary.service.verifier.device_rates import CHECK_INS
from armillary.service.verifier.peers import Peer

PEER = cast("Peer", SimpleNamespace(device_id="aa"))
STATES = cast(
    "Any",
    SimpleNamespace(
        admitted=lambda _: SimpleNamespace(number=1, is_quarantined=False, log_request=None), mark_stale=lambda _: None
    ),
)


class Device:
    """A connection whose device sends its next dump in the moment in which it hears of the one before."""

    def __init__(self, keep: Keep, dumps: int) -> None:
        self.uploads = Uploads(STATES, crash_dumps(keep, lambda: 1_790_000_000), Counter())
        self.left = dumps
        self.answers: list[object] = []

    def wait(self, _seconds: float) -> None:
        """The endpoint waits for the disk."""

    def reply_ok(self, _receipt: bytes) -> None:
        self.answers.append("kept")
        self.send()

    def fail(self, error: Exception) -> None:
        self.answers.append(type(error))
        self.send()

    def send(self) -> None:
        self.left -= 1
        if self.left >= 0:
            self.uploads.take(cast("Any", self), PEER, b"dump")


async def all_answers(device: Device) -> list[object]:
    device.send()
    while device.uploads._under_way:
        await device.uploads.close()
    return device.answers


def test_a_device_may_send_the_next_dump_when_it_hears_of_the_first() -> None:
    assert asyncio.run(all_answers(Device(lambda *_: b"receipt", 3))) == ["kept"] * 3


def test_and_when_it_hears_that_the_first_was_refused() -> None:
    def refuse(*_: object) -> bytes:
        raise WireError("crash-dump", expected="a dump", got="none")

    assert asyncio.run(all_answers(Device(refuse, 2))) == [WireError] * 2


def test_two_of_one_device_at_once_are_one_too_many() -> None:
    async def both() -> None:
        device = Device(lambda *_: b"receipt", 1)
        device.send()
        device.left = 1
        with pytest.raises(RateLimitedError):
            device.send()
        await device.uploads.close()

    asyncio.run(both())


def unread(*_: object) -> bytes:
    raise AssertionError("it was read")


def test_a_log_that_nobody_asked_for_costs_no_disk() -> None:
    uploads = Uploads(STATES, device_logs(unread, lambda: 1_790_000_000), Counter())
    with pytest.raises(NotFoundError, match="nobody asked"):
        uploads.take(cast("Any", None), PEER, b"log")


@pytest.mark.parametrize(
    ("kind", "refused"), [(device_logs, NotFoundError), (crash_dumps, QuarantinedDeviceError)], ids=["log", "dump"]
)
def test_what_is_not_wanted_is_charged(kind: Callable[[Keep, Callable[[], int]], UploadKind], refused: type) -> None:
    """A log that nobody asked for and a dump of a device in quarantine, of which another device pays nothing."""
    states = {number: SimpleNamespace(number=number, is_quarantined=True, log_request=None) for number in (1, 2)}
    upload = kind(unread, lambda: 1_790_000_000)

    def answer(number: int) -> type:
        with pytest.raises(ArmillaryError) as raised:
            upload.check(cast("Any", states[number]))
        return raised.type

    beyond = 5
    answers = [answer(1) for _ in range(CHECK_INS.burst + beyond)]
    assert answers == [refused] * CHECK_INS.burst + [RateLimitedError] * beyond
    assert answer(2) is refused
