# SPDX-License-Identifier: Apache-2.0
"""Registrations under way: one of each owner at a time, and nobody's results pushed out by another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from armillary.errors import NotFoundError, RateLimitedError
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.counters import Counters
from armillary.hub.provisioning import registrations as module
from armillary.hub.provisioning.mqtt import Provisioning
from armillary.hub.provisioning.registrations import Registrations
from armillary.wire.hub.provisioning import RegistrationRequest, RegistrationResult
from armillary.wire.mqtt.packet import Connect, Packet, Publish


class SlowAuthority:
    """Registers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []

    def authenticate(self, scope: str, registration_id: str, _credentials: Any, /) -> str:
        return f"{scope}/{registration_id}"

    def register(self, applicant: Any, request: RegistrationRequest, /) -> RegistrationResult:
        assert self.go.wait(20)
        self.asked.append(applicant)
        return RegistrationResult(registration_id=request.registration_id, status="assigned", device_id=applicant)


def asked_for(name: str, payload: Any = None) -> RegistrationRequest:
    return RegistrationRequest(registration_id=name, payload=payload)


def play(scene: Callable[[Registrations, SlowAuthority], Awaitable[None]]) -> None:
    async def run() -> None:
        authority = SlowAuthority()
        loop = asyncio.get_running_loop()
        found = Registrations(cast("Any", authority), loop, Counters(), lambda *_: None, HubNotices())
        try:
            await scene(found, authority)
        finally:
            authority.go.set()
            found.close()

    asyncio.run(run())


async def done(found: Registrations, owner: str, operation: str) -> RegistrationResult:
    while (result := found.result(owner, operation)) is None:
        await asyncio.sleep(0.001)
    return result


def test_one_owner_takes_one_place_however_often_it_asks() -> None:
    async def scene(found: Registrations, authority: SlowAuthority) -> None:
        first = found.begin("s/a", "a", asked_for("a"))
        assert {found.begin("s/a", "a", asked_for("a")) for _ in range(200)} == {first}
        with pytest.raises(RateLimitedError):
            found.begin("s/a", "a", asked_for("a", {"modelId": "another"}))
        other = found.begin("s/b", "b", asked_for("b"))
        authority.go.set()
        assert (await done(found, "s/a", first)).device_id == "a"
        assert (await done(found, "s/b", other)).device_id == "b"
        assert sorted(authority.asked) == ["a", "b"]
        again = found.begin("s/a", "a", asked_for("a"))
        assert again != first
        with pytest.raises(NotFoundError):
            found.result("s/a", first)
        await done(found, "s/a", again)

    play(scene)


def test_nobody_pushes_out_the_result_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RESULTS", 3)

    async def scene(found: Registrations, authority: SlowAuthority) -> None:
        authority.go.set()
        quiet = found.begin("s/quiet", "quiet", asked_for("quiet"))
        await done(found, "s/quiet", quiet)
        for _ in range(10):
            await done(found, "s/loud", found.begin("s/loud", "loud", asked_for("loud")))
        assert (await done(found, "s/quiet", quiet)).device_id == "quiet"
        for name in "abc":  # the control: of many owners the oldest gives way
            await done(found, f"s/{name}", found.begin(f"s/{name}", name, asked_for(name)))
        with pytest.raises(NotFoundError):
            found.result("s/quiet", quiet)
        assert len(found._last) == len(found._operations) == 3

    play(scene)


def test_a_client_that_is_cut_off_by_the_acknowledgement_of_its_request_registers_nothing() -> None:
    async def scene(found: Registrations, authority: SlowAuthority) -> None:
        provisioning = Provisioning(found, lambda _: None, Counters(), lambda: 0.0)

        class TakesNothing:  # a link aborts such a client when it is to send it something
            def established(self, _row: Any) -> None:
                pass

            def send(self, _packet: Packet) -> None:
                provisioning.left(cast("Any", self))

        connection = cast("Any", TakesNothing())
        connect = Connect(client_id="a", username="0ne1/registrations/a/api-version=2019-03-31")
        assert provisioning.begin(connection, connect, None)
        topic = "$dps/registrations/PUT/iotdps-register/?$rid=1"
        provisioning.converse(connection, Publish(topic=topic, payload=b'{"registrationId": "a"}', qos=1, packet_id=1))
        assert found._operations == {}

    play(scene)
