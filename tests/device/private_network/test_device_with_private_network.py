# SPDX-License-Identifier: Apache-2.0
"""A whole device with a private network: an application in its sandbox serves there, and nothing outlives it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.private_network.wires import DEVICE_ADDRESS, LEASED, PLAN, PRIVATE, Wire, wire
from tests.device.rig import FAST, Rig, provisioned
from tests.device.tiny_service import TinyService
from tests.engines.isolation.networks import needs
from tests.fixtures.waiting import until

from armillary.engines.sandbox.selection import open_sandbox

pytestmark = needs("busybox")
# Serves until a client has an address, then ends as a crash does; its supervisor starts it again.
APPLICATION = f"""#!/usr/bin/env python3
import json, os, signal, socket, time
stream = socket.socket(socket.AF_UNIX)
stream.connect(os.environ["ARMILLARY_APPLICATION_SOCKET"])
def ask(method, **parameters):
    body = json.dumps({{"id": 1, "method": method, "parameters": parameters}}).encode()
    stream.sendall(len(body).to_bytes(4, "big") + body)
    return json.loads(stream.recv(65536)[4:])
started = ask("dhcp.start", **{PLAN | {"count": 1}})
print("dhcp.start", json.dumps(started.get("result") or started["error"]["name"]))
other = ask("sntp.start")
print("sntp.start", json.dumps(other.get("result") or other["error"]["name"]))
while not ask("dhcp.status").get("result", {{}}).get("leases"):
    time.sleep(0.05)
print("leased")
os.kill(os.getpid(), signal.SIGKILL)
""".encode()
DHCP_ALONE = {"DhcpService": True}


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[Wire]:
    with wire(tmp_path) as made:
        yield made


def on(joined: Wire, story: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    """Play a story with a device that runs on the device's side of the wire."""

    async def play() -> None:
        async with provisioned(TinyService(), open_sandbox("linux"), joined.folder / "d") as rig:
            rig.service.deploy(rig.service.application(APPLICATION, **DHCP_ALONE))
            await story(rig)

    joined.run(play())


def test_what_an_application_serves_ends_with_it_and_with_the_device(joined: Wire) -> None:
    async def story(rig: Rig) -> None:
        await rig.start(replace(FAST, private_network=PRIVATE))
        await until(lambda: rig.status().get("private_network", {}).get("serves"), "the application serves")
        (serves,) = rig.status()["private_network"]["serves"]
        assert (serves["service"], serves["address"]) == ("dhcp-server", DEVICE_ADDRESS)
        assert await joined.leased() == LEASED
        await until(lambda: rig.events("dhcp-server-stopped"), "the application has ended")
        assert rig.events("dhcp-server-stopped")[0]["answered"] >= 2
        lines = [each["text"] for each in rig.events("output")]
        assert lines[:2] == [
            f'dhcp.start {{"interface": "{PRIVATE}", "address": "{DEVICE_ADDRESS}"}}',
            'sntp.start "EACCES"',
        ]
        (refused, *_) = rig.events("capability-blocked")
        assert refused["host"] == "sntp.start without SntpService"
        await rig.stop()
        assert len(rig.events("dhcp-server-stopped")) == len(rig.events("dhcp-server-started"))
        assert rig.status()["private_network"] == {"interface": PRIVATE, "hardware_address": None, "serves": []}
        assert await joined.leased(tries=2) is None

    on(joined, story)


def test_without_a_private_network_the_application_is_told(joined: Wire) -> None:
    async def story(rig: Rig) -> None:
        await rig.start()
        await until(lambda: rig.status().get("last_check_in"), "check-in")
        await until(lambda: rig.events("output"), "the application")
        assert rig.events("output")[0]["text"] == 'dhcp.start "EPERM"'
        assert rig.status()["private_network"] is None
        assert await joined.leased(tries=2) is None

    on(joined, story)
