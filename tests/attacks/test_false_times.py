# SPDX-License-Identifier: Apache-2.0
"""A device that was told a time from the future comes back by root's word alone; whoever has less sets nobody back.

The thief has the key of the service's TLS certificate, so that devices take the time from him, and the mirrors. Each
check is taken out once, and then he gets through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.repository.device_side import Network, play
from tests.device.repository.directed_device import DirectedDevice, directive, repository
from tests.fixtures.static_server import StaticServer
from tests.fixtures.tuf_repository import DAY_S, NOW, TufRepository, moment

from armillary.device.state import clock as clock_module
from armillary.device.state.clock import DeviceClock
from armillary.errors import ClockAheadError, ExpiredMetadataError, UnsignedMetadataError
from armillary.update.repository import steps
from armillary.wire.update.clock_correction import MEMBER, ClockCorrection, correction_member

AHEAD = NOW + 30 * DAY_S  # the time that the service told while its clock was wrong
FALSE = ClockCorrection(at=NOW - 60, first=AHEAD - 3600, last=AHEAD + 3600)
Act = Callable[[DirectedDevice], Awaitable[None]]


@pytest.fixture
def made() -> TufRepository:
    """A repository whose timestamp ends in two days, as a service makes them."""
    found = repository()
    found.timestamp.expires = moment(NOW + 2 * DAY_S)
    found.publish("timestamp")
    return found


def correct(made: TufRepository, correction: ClockCorrection = FALSE) -> None:
    """Root says it; the version after it does not say it again."""
    made.root.unrecognized_fields[MEMBER] = correction_member(correction)
    made.publish("root")
    del made.root.unrecognized_fields[MEMBER]


def story(made: TufRepository, act: Act, *, signed: int = AHEAD, told: int = NOW, root: bytes | None = None) -> None:
    """A device that believes ``signed``, and is told the time ``told`` by who has the service's TLS key."""

    async def play_it(net: Network) -> None:
        device = DirectedDevice(net, server, signed=signed)
        device.flash.durable["repository/root.json"] = root or made.first_root
        device.clock.set_from_service(told)
        await act(device)

    server = StaticServer(made.files)
    play(play_it, server)


def believes(device: DirectedDevice) -> int:
    """What the device believes after a restart."""
    return DeviceClock(device.flash, monotonic=lambda: 0.0, wall=lambda: 0.0).now()


async def takes(device: DirectedDevice) -> None:
    await device.take(directive(expires_at=NOW + 7 * DAY_S))


async def stays(device: DirectedDevice) -> None:
    before = believes(device)
    with pytest.raises(ExpiredMetadataError):
        await takes(device)
    assert believes(device) == before


def test_root_brings_a_device_back_from_the_future_at_once_and_for_good(made: TufRepository) -> None:
    async def act(device: DirectedDevice) -> None:
        with pytest.raises(ClockAheadError, match=rf"{30 * DAY_S} s later than what it says now: role 'timestamp'"):
            await takes(device)
        assert believes(device) == AHEAD
        correct(made)
        await takes(device)
        assert (device.clock.now(), believes(device), device.clock.ahead_s) == (NOW, NOW, 0)

    story(made, act)


def test_who_has_no_key_of_root_says_nothing_of_times(made: TufRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """With his own key, or with every online key: in the metadata of other roles it counts for nothing."""
    signers = made.signers["root"]
    made.signers["root"] = [60, *made.signers["timestamp"], *made.signers["snapshot"]]
    correct(made)

    async def refused(device: DirectedDevice) -> None:
        with pytest.raises(UnsignedMetadataError, match="root"):
            await takes(device)
        assert believes(device) == AHEAD

    story(made, refused)
    with monkeypatch.context() as without:  # the control: a root that nobody has to sign
        without.setattr(steps, "verify", lambda read, _: read)
        story(made, takes)
    del made.files["metadata/2.root.json"]
    made.root.version, made.signers["root"] = 1, signers
    for document in (made.timestamp, made.snapshot, made.roles["targets"]):
        document.unrecognized_fields[MEMBER] = correction_member(FALSE)
    made.publish("targets")
    story(made, stays)
    correct(made)
    story(made, takes)


@pytest.mark.parametrize(
    ("signed", "told"),
    [
        pytest.param(AHEAD - 3601, NOW, id="a time that root does not call false"),
        pytest.param(AHEAD + 3601, NOW, id="a later one"),
        pytest.param(AHEAD, NOW - 61, id="back before root said so"),
    ],
)
def test_a_true_correction_is_worth_nothing_to_a_thief_of_the_services_key(
    made: TufRepository, monkeypatch: pytest.MonkeyPatch, signed: int, told: int
) -> None:
    correct(made)

    async def set_back(device: DirectedDevice) -> None:
        await takes(device)
        assert believes(device) == told

    story(made, stays, signed=signed, told=told)
    monkeypatch.setattr(
        clock_module, "corrected_time", lambda _, *, last, told: told if told < last else None
    )  # the control
    story(made, set_back, signed=signed, told=told)


def test_a_correction_is_good_once(made: TufRepository) -> None:
    """Whoever has heard it goes by it no more, though its time is the false one again."""
    correct(made)
    met = made.files["metadata/2.root.json"]
    story(made, stays, root=met)
    story(made, takes)  # the control: who has not


def test_a_device_that_is_right_is_not_moved(made: TufRepository) -> None:
    correct(made)

    async def act(device: DirectedDevice) -> None:
        await takes(device)
        assert (device.clock.now(), believes(device)) == (NOW + 60, NOW)

    story(made, act, signed=NOW, told=NOW + 60)


def test_cut_anywhere_a_device_believes_the_false_time_or_the_right_one_and_comes_back(made: TufRepository) -> None:
    correct(made)
    operations = 0

    async def whole(device: DirectedDevice) -> None:
        nonlocal operations
        before = device.flash.operations
        await takes(device)
        operations = device.flash.operations - before

    async def cut(device: DirectedDevice, at: int) -> None:
        device.flash.cut_at = device.flash.operations + at
        with pytest.raises(PowerCutError):
            await takes(device)
        device.flash = CutFlash(device.flash.durable)
        assert believes(device) in (AHEAD, NOW)
        device.clock = DeviceClock(device.flash, monotonic=lambda: 0.0, wall=lambda: 0.0)
        device.clock.set_from_service(NOW)
        device.directives = device.started()
        await takes(device)
        assert believes(device) == NOW

    def cut_at(at: int) -> Any:
        return lambda device: cut(device, at)

    story(made, whole)
    for at in range(1, operations + 1):
        story(made, cut_at(at))
