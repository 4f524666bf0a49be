# SPDX-License-Identifier: Apache-2.0
"""A module's connection to a real hub: telemetry, twin, methods, the hub's time, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh
from tests.fixtures.waiting import until, wait_until

from armillary.guardian.hub.connection import HubConnection, Listener
from armillary.guardian.hub.hub_time import hub_time
from armillary.sim.device.wire_device import WireDevice


class Certificate:
    """What a device would have in its folder."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.made = context
        self.number: int | None = 1

    def version(self) -> object:
        return self.number

    def context(self) -> ssl.SSLContext:
        return self.made


class Heard:
    def __init__(self) -> None:
        self.desired: list[Mapping[str, object]] = []
        self.ends = 0

    async def method(self, name: str, payload: object) -> tuple[int, object]:
        await asyncio.sleep(0)
        if name == "broken":
            raise OverflowError("int too big to convert")
        return 203, {"called": name, "with": payload}

    def ended(self) -> None:
        self.ends += 1


@pytest.fixture(scope="module")
def device(service: RunningService) -> WireDevice:
    catalog = service.make_catalog(fresh("G"), product="Coffee")
    made = service.claimed(catalog)
    reply = service.call("POST", f"/api/v1/hub-devices/{made.device_id}/modules", {"module_id": "espresso1"})
    assert reply.status in (200, 201), reply.raw
    return made


def reported(service: RunningService, path: str) -> dict[str, Any]:
    found: dict[str, Any] = service.call("GET", path).body["properties"]["reported"]
    return found


@contextlib.asynccontextmanager
async def connected(
    service: RunningService, identity: str, certificate: Certificate
) -> AsyncIterator[tuple[HubConnection, Heard]]:
    heard = Heard()
    listener = Listener(method=heard.method, desired=heard.desired.append, disconnected=heard.ended)
    with ThreadPoolExecutor(2) as threads:
        address = ("localhost", service.hub_port)
        connection = HubConnection(identity, address, certificate, listener, threads=threads, renew_after_s=0)
        run = asyncio.create_task(connection.run())
        try:
            await until(lambda: connection.is_connected, "connected")
            yield connection, heard
        finally:
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run


def test_a_module_sends_reports_answers_and_hears(service: RunningService, device: WireDevice):
    async def play() -> None:
        identity = f"{device.device_id}/espresso1"
        certificate = Certificate(await asyncio.to_thread(service.client_context, device))
        path = f"/api/v1/devices/{device.device_id}"
        async with connected(service, identity, certificate) as (connection, heard):
            await asyncio.gather(
                *(connection.publish("$.ct=application%2Fjson", b'{"brewTemp": 92.5}') for _ in range(50))
            )
            assert connection.report({"profileVersion": 3})
            twin = f"{path}/twin?module=espresso1"
            await asyncio.to_thread(
                wait_until, lambda: reported(service, twin).get("profileVersion") == 3, "the report"
            )
            await asyncio.to_thread(service.call, "PATCH", twin, {"desired": {"recipe": {"version": 4}}})
            await until(lambda: any("recipe" in each for each in heard.desired), "the desired property")
            answer = await asyncio.to_thread(
                service.call, "POST", f"{path}/methods/setBrewTemp?module=espresso1", {"payload": {"value": 93.0}}
            )
            assert (answer.body["status"], answer.body["payload"]) == (
                203,
                {"called": "setBrewTemp", "with": {"value": 93.0}},
            )
            answer = await asyncio.to_thread(
                service.call, "POST", f"{path}/methods/broken?module=espresso1", {"payload": None}
            )
            assert answer.body["status"] == 500, "whoever called hears of it"
        assert heard.ends == 1
        with pytest.raises(ConnectionError):
            connection.publish("", b"{}")

    asyncio.run(play())


def test_a_new_certificate_makes_a_new_connection(service: RunningService, device: WireDevice):
    async def play() -> None:
        certificate = Certificate(await asyncio.to_thread(service.client_context, device))
        async with connected(service, f"{device.device_id}/espresso1", certificate) as (connection, heard):
            certificate.number = None  # It is being replaced
            certificate.number = 2
            await until(lambda: heard.ends == 1 and connection.is_connected, "a second connection")

    asyncio.run(play())


def test_a_module_that_is_not_registered_is_refused_and_says_so(service: RunningService, device: WireDevice):
    async def play() -> None:
        certificate = Certificate(await asyncio.to_thread(service.client_context, device))
        listener = Listener(method=Heard().method, desired=lambda _: None)
        with ThreadPoolExecutor(2) as threads:
            address = ("localhost", service.hub_port)
            connection = HubConnection(f"{device.device_id}/nobody", address, certificate, listener, threads=threads)
            run = asyncio.create_task(connection.run())
            await until(lambda: connection.refusal, "a refusal")
            assert not connection.is_connected
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run

    asyncio.run(play())


def test_the_hub_tells_its_time(service: RunningService, device: WireDevice):
    async def play() -> None:
        context = await asyncio.to_thread(service.client_context, device)
        told = await asyncio.to_thread(hub_time, "localhost", service.hub_port, context)
        assert abs(told - time.time()) < 5

    asyncio.run(play())
