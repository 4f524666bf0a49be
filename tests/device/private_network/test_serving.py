# SPDX-License-Identifier: Apache-2.0
"""Addresses and the time at the private network, asked for by programs that are not ours, on a wire between two hosts.

Each "nothing" has its control: the same client gets an answer before.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Asked, Host, application, parts
from tests.device.private_network.wires import CLIENT_HARDWARE, DEVICE_ADDRESS, LEASED, PLAN, PRIVATE, Wire, wire
from tests.engines.isolation.networks import needs
from tests.wire.device.dhcp_messages import DISCOVER, sent

from armillary.device.interface.methods import method_table
from armillary.device.private_network.network import DHCP_BURST, DHCP_PER_SECOND, PrivateNetwork
from armillary.device.state.clock import DeviceClock
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.file import FileFlash
from armillary.engines.isolation.programs import program

pytestmark = needs("busybox")
BOTH = {"DhcpService": True, "SntpService": True}
TIME = 1_800_000_000


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[Wire]:
    with wire(tmp_path) as made:
        yield made


class Served:
    """A device with a private network, and one application of it."""

    def __init__(self, folder: Path, interface: str = PRIVATE) -> None:
        self.clock = DeviceClock(FileFlash(folder / "flash"), wall=lambda: 1_000_000.0)
        self._given = parts(folder, clock=self.clock)
        self.host = Host(folder, lambda journal: self._rows(interface, journal))

    def _rows(self, interface: str, journal: Any) -> Any:
        self.network = PrivateNetwork(interface, self.clock, NetworkConfiguration(self._given.flash), journal)
        table = method_table(dataclasses.replace(self._given, private_network=self.network))
        return [row for row in table.rows if row.name != "interface.describe"]

    @contextlib.asynccontextmanager
    async def application(self, number: int = 1, **capabilities: Any) -> AsyncIterator[Asked]:
        async with self.host.open(application(number, **(capabilities or BOTH))) as asked:
            yield asked


def test_a_foreign_client_gets_an_address_while_the_application_runs_and_no_longer(joined: Wire) -> None:
    async def main() -> None:
        served = Served(joined.folder)
        async with served.application() as asked:
            client = asked.client()
            assert await client.ask("dhcp.status") == {"running": False, "leases": []}
            started = await client.ask("dhcp.start", **PLAN)
            assert started == {"interface": PRIVATE, "address": DEVICE_ADDRESS}
            leased = await joined.leased()
            assert leased is not None
            assert leased.pop("ip") in ("192.168.100.10", "192.168.100.11")
            assert leased == {name: value for name, value in LEASED.items() if name != "ip"}
            shown = await client.ask("dhcp.status")
            (lease,) = shown["leases"]
            assert (lease["hardware"], shown["running"]) == (CLIENT_HARDWARE, True)
            assert 7000 < lease["left_s"] <= 7200
            (serves,) = served.network.status()["serves"]
            assert (serves["service"], serves["held_by"]) == ("dhcp-server", f"a socket bound to {PRIVATE}")
            assert await client.ask("dhcp.stop") == {}
            assert (await client.ask("dhcp.stop"))["name"] == "ENOENT"
            assert await joined.leased(tries=2) is None
            assert "address" in await client.ask("dhcp.start", **PLAN | {"count": 1})
            assert await joined.leased() == LEASED
        assert served.network.status()["serves"] == []
        assert await joined.leased(tries=2) is None
        async with served.application() as asked:  # started again by its supervisor: the same client, the same address
            assert "address" in await asked.client().ask("dhcp.start", **PLAN | {"count": 1})
            assert len(served.network.leases()) == 1
            assert await joined.leased() == LEASED

    joined.run(main())


def test_a_full_range_gives_nothing_and_nobody_loses_an_address(joined: Wire) -> None:
    async def main() -> None:
        served = Served(joined.folder)
        async with served.application() as asked:
            await asked.client().ask("dhcp.start", **PLAN | {"count": 1})
            assert await joined.leased() == LEASED
            assert await joined.leased("-x", "0x3d:01aabbccddeeff", tries=2) is None
            assert await joined.leased() == LEASED

    joined.run(main())


@needs("dnsmasq")
def test_dnsmasq_gives_the_same_client_the_same(joined: Wire) -> None:
    """The peer: what a server that is not ours says for the same plan, every value of it."""

    async def main() -> None:
        ready = "started, version"
        options = [
            "--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--port=0", "--user=root",
            f"--interface={PRIVATE}", "--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--leasefile-ro",
            "--dhcp-range=192.168.100.10,192.168.100.10,255.255.255.0,2h",
            "--dhcp-option=3,192.168.100.254", "--dhcp-option=6,192.168.100.53,192.168.100.54",
            f"--dhcp-option=42,{DEVICE_ADDRESS}",
        ]  # fmt: skip
        peer = await asyncio.create_subprocess_exec(program("dnsmasq"), *options, stderr=asyncio.subprocess.PIPE)
        assert peer.stderr is not None
        try:
            while ready.encode() not in await asyncio.wait_for(peer.stderr.readline(), 30):
                pass
            assert await joined.leased() == LEASED
        finally:
            peer.terminate()
            await peer.wait()

    joined.run(main())


@needs("ntpdig")
def test_a_foreign_client_gets_the_time_only_once_the_device_has_it(joined: Wire) -> None:
    async def main() -> None:
        served = Served(joined.folder)
        await joined.foreign("ip", "address", "add", "192.168.100.2/24", "dev", "eq0")
        async with served.application() as asked:
            client = asked.client()
            assert await client.ask("sntp.start") == {"interface": PRIVATE, "address": DEVICE_ADDRESS}
            assert await client.ask("sntp.start") == {"interface": PRIVATE, "address": DEVICE_ADDRESS}
            unsure = await joined.foreign("ntpdig", "-j", "-t", "5", DEVICE_ADDRESS)
            assert unsure is None or '"leap":"no-leap"' not in unsure
            served.clock.set_from_service(TIME)
            sure = await joined.foreign("ntpdig", "-j", "-t", "20", DEVICE_ADDRESS)
            assert sure is not None
            assert '"time":"2027-01-15T' in sure, "1,800,000,000 s after 1970"
            assert await client.ask("sntp.stop") == {}
            assert await joined.foreign("ntpdig", "-j", "-t", "1", DEVICE_ADDRESS) is None

    joined.run(main())


def test_floods_and_garbage_neither_stop_the_servers_nor_the_device(joined: Wire) -> None:
    """From the client's side, as fast as it can; afterwards a foreign client is served, and meanwhile the device works."""

    async def main() -> None:
        served = Served(joined.folder)
        served.clock.set_from_service(TIME)
        async with served.application() as asked:
            client, loop = asked.client(), asyncio.get_running_loop()
            begun = loop.time()
            await client.ask("dhcp.start", **PLAN | {"count": 1})
            await client.ask("sntp.start")
            await joined.foreign("ip", "address", "add", "192.168.100.2/24", "dev", "eq0")
            flood = asyncio.create_task(asyncio.to_thread(joined.client.call, flooding))
            answers = 0
            while not flood.done():
                assert "running" in await client.ask("dhcp.status")
                answers += 1
            sent = await flood
            assert answers > 0
            shown = await client.ask("dhcp.status")
            looked_at = shown["answered"] + shown["refused"]
            most = DHCP_BURST + DHCP_PER_SECOND * (loop.time() - begun)
            assert 0 < looked_at <= min(most, sent), f"{looked_at} of {sent}"
            assert len(shown["leases"]) <= 1
            assert await joined.leased() == LEASED, "nobody has taken an address by questions alone"

    joined.run(main())


def flooding() -> int:
    """Send to both servers, broken and whole, from one socket after another; returns how many went to the first."""
    whole = sent(DISCOVER)
    messages = [b"", b"\xff" * 1400, whole[:200], whole + b"\x3d\xff", sent(b"\x35\x01\x03"), whole]
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as each:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for number in range(5000):
            hardware = number.to_bytes(2, "big")
            data = messages[number % len(messages)]
            if data is whole:
                data = sent(DISCOVER, at32=hardware)
            each.sendto(data, (DEVICE_ADDRESS, 67))
            each.sendto(b"\x23" + bytes(47), (DEVICE_ADDRESS, 123))
    return 5000


def test_what_an_application_may_not_and_what_the_host_cannot(joined: Wire) -> None:
    async def main() -> None:
        served = Served(joined.folder)
        async with served.application(SntpService=True) as asked:
            refused = await asked.client().ask("dhcp.start", **PLAN)
            assert (refused["name"], refused["error_id"]) == ("EACCES", 2 << 20 | 41)
        async with served.application(DhcpService=True) as asked:
            refused = await asked.client().ask("sntp.start")
            assert (refused["name"], refused["error_id"]) == ("EACCES", 2 << 20 | 42)
        async with served.application(1) as first, served.application(2) as second:
            assert "address" in await first.client().ask("dhcp.start", **PLAN)
            assert "address" in await first.client().ask("sntp.start")
            other = second.client()
            for method, parameters in (("dhcp.start", PLAN), ("sntp.start", {})):
                assert (await other.ask(method, **parameters))["name"] == "EBUSY"
            for method in ("dhcp.stop", "sntp.stop"):
                assert (await other.ask(method))["name"] == "ENOENT"
            assert (await other.ask("dhcp.status"))["leases"] == []
            assert await joined.leased() is not None, "the other one changed nothing"
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
            taken.bind(("0.0.0.0", 67))
            async with served.application() as asked:
                refused = await asked.client().ask("dhcp.start", **PLAN)
                assert refused["name"] == "EADDRINUSE"
                assert "port 67" in refused["message"]
        for interface, name in (("nobody0", "ENOENT"), ("lo", "EPERM")):
            async with Served(joined.folder, interface).application() as asked:
                assert (await asked.client().ask("dhcp.start", **PLAN))["name"] == name
        await joined_default_route(joined)
        async with served.application() as asked:
            refused = await asked.client().ask("sntp.start")
            assert (refused["name"], "default route" in refused["message"]) == ("EPERM", True)

    joined.run(main())


async def joined_default_route(joined: Wire) -> None:
    """Make the private interface the host's way to everywhere."""
    words = joined.device.command("ip", "route", "add", "default", "via", "192.168.100.9")
    assert await (await asyncio.create_subprocess_exec(*words)).wait() == 0
