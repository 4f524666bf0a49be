# SPDX-License-Identifier: Apache-2.0
"""The link to BACnet against bacnet-stack's server (C), in a network namespace of its own: read and faulted.

bacnet-stack is in no Debian: it runs where BACNET_STACK_DIR names a checkout of github.com/bacnet-stack/bacnet-stack in
which ``make server`` was run. Needs root.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import IPv4Address
from tests.fixtures.namespaces import Namespace, network_namespace
from tests.fixtures.processes import OwnProcess, killed_process
from tests.fixtures.waiting import DEADLINE_S

from armillary.engines.equipment.bacnet import BacnetLink
from armillary.engines.equipment.bacnet_discovery import ANY_DEVICE, found_device, objects
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import BacnetIp
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import ObjectsRead

SERVER = Path(os.environ.get("BACNET_STACK_DIR", ""), "bin", "bacserv")
pytestmark = pytest.mark.skipif(
    "BACNET_STACK_DIR" not in os.environ,
    reason="no bacnet-stack; to enable: git clone https://github.com/bacnet-stack/bacnet-stack, `make server` in it, "
    "and name that folder in BACNET_STACK_DIR",
)
DEVICE = 1234
SETTINGS = BacnetIp(host="127.0.0.1", device=DEVICE, timeout_s=5.0)
NUMBERS = [("analog-input", 1, "present-value"), ("analog-value", 1, "present-value")]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with network_namespace() as made:
        yield made


@contextmanager
def server(namespace: Namespace) -> Iterator[OwnProcess]:
    environment = {**os.environ, "BACNET_IFACE": "lo"}
    with killed_process(
        namespace.command(SERVER, DEVICE), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        yield process


async def read(link: BacnetLink, *places: tuple[str, int, str]) -> tuple[Value | None, ...]:
    return (await link.exchange(Permit(ObjectsRead(places)))).values


async def answers(link: BacnetLink) -> tuple[Value | None, ...]:
    """Its values, once it is up."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(LinkError):
                return await read(link, *NUMBERS)
            await asyncio.sleep(0)


async def reason(link: BacnetLink) -> str:
    with pytest.raises(LinkError) as caught:
        await read(link, *NUMBERS)
    return caught.value.reason


@asynccontextmanager
async def writer() -> AsyncIterator[NormalApplication]:
    """bacpypes3's own application, which can write."""
    device = DeviceObject(objectIdentifier=("device", 4), objectName="writer", vendorIdentifier=999)
    application = NormalApplication(device, IPv4Address("127.0.0.1:47809"))
    try:
        yield application
    finally:
        application.close()


def test_values_of_every_kind_are_read(namespace: Namespace) -> None:
    async def story() -> None:
        link = BacnetLink(SETTINGS)
        assert await answers(link) == (0.0, 0.0)
        found = await read(
            link,
            ("device", DEVICE, "object-name"),
            ("device", DEVICE, "system-status"),
            ("analog-input", 1, "units"),
            ("analog-input", 1, "out-of-service"),
            ("device", DEVICE, "object-list"),
            ("analog-input", 4_000_000, "present-value"),
        )
        assert found == ("SimpleServer", 0, 98, False, None, None)
        # More than fits into one reply: asked for in parts
        assert await read(link, *[("device", DEVICE, "object-list")] * 30) == (None,) * 30
        assert await read(link, *NUMBERS * 40) == (0.0,) * 80
        await link.close()

    with server(namespace):
        namespace.run(story())


def test_what_a_client_writes_is_read_and_what_is_out_of_service_has_no_value(namespace: Namespace) -> None:
    """The control for reading only: the device takes writes from whoever sends them."""

    async def story() -> None:
        link = BacnetLink(SETTINGS)
        await answers(link)
        async with writer() as application:
            refused = await application.write_property(
                "127.0.0.1:47808", "analog-value,1", "present-value", 7.25, None, 8
            )
            assert refused is None
            assert await read(link, *NUMBERS) == (0.0, 7.25)
            refused = await application.write_property("127.0.0.1:47808", "analog-value,1", "out-of-service", True)
            assert refused is None
        assert await read(link, *NUMBERS) == (0.0, None)
        await link.close()

    with server(namespace):
        namespace.run(story())


def test_a_device_that_stands_still_or_is_killed_is_read_again(namespace: Namespace) -> None:
    async def story() -> None:
        link = BacnetLink(BacnetIp(host="127.0.0.1", device=DEVICE, timeout_s=0.3))
        with server(namespace) as process:
            await answers(link)
            process.send_signal(signal.SIGSTOP)
            assert await reason(link) == "timeout"
            process.send_signal(signal.SIGCONT)
            assert await answers(link) == (0.0, 0.0)
            process.kill()
            process.wait()
            assert await reason(link) == "unreachable"
        with server(namespace):
            assert await answers(link) == (0.0, 0.0)
            await link.close()

    namespace.run(story())


def test_another_device_is_refused(namespace: Namespace) -> None:
    async def story() -> None:
        await answers(BacnetLink(SETTINGS))
        assert await reason(BacnetLink(BacnetIp(host="127.0.0.1", device=DEVICE + 1, timeout_s=5.0))) == "foreign"

    with server(namespace):
        namespace.run(story())


def test_its_objects_are_found(namespace: Namespace) -> None:
    async def story() -> None:
        await answers(BacnetLink(SETTINGS))
        settings = await found_device(replace(SETTINGS, device=ANY_DEVICE))
        assert settings.device == DEVICE
        found = {(each.object_type, each.instance): each for each in await objects(settings, 1000)}
        assert found["device", DEVICE].name == "SimpleServer"
        first = found["analog-input", 1]
        assert (first.value, first.units, first.name) == (0.0, "percent", "ANALOG INPUT 1")

    with server(namespace):
        namespace.run(story())
