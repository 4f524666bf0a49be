# SPDX-License-Identifier: Apache-2.0
"""A stock tinyproxy between a device and a real service: it checks in and reads mirrors through it, or says why not."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
from tests.attacks.test_device_time import make
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import killed_process
from tests.fixtures.static_server import StaticServer
from tests.fixtures.waiting import wait_until

from armillary.device.network.proxy import Proxy
from armillary.device.process import Device
from armillary.device.repository.source import HttpSource
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.file import FileFlash
from armillary.errors import ServiceUnreachableError, TransferError
from armillary.sim.device.service_host import ServiceHost

TINYPROXY = shutil.which("tinyproxy")
pytestmark = pytest.mark.skipif(TINYPROXY is None, reason="needs tinyproxy: sudo apt-get install tinyproxy-bin")

CONFIGURATION = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 20
LogLevel Connect
LogFile "{folder}/log"
PidFile "{folder}/pid"
BasicAuth device kettle
ConnectPort {connect}
"""
Start = Callable[[int], tuple[int, Path]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start one that makes tunnels to a port alone; its own port and its log."""
    with ExitStack() as stack:

        def started(connect: int) -> tuple[int, Path]:
            port, folder = reserved_port(), tmp_path / "tinyproxy"
            folder.mkdir()
            file = folder / "tinyproxy.conf"
            file.write_text(CONFIGURATION.format(port=port, folder=folder, connect=connect))
            stack.enter_context(killed_process([TINYPROXY, "-d", "-c", str(file)]))

            def answers() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            wait_until(answers, "tinyproxy answers")
            return port, folder / "log"

        yield started


def told(device: Device, port: int, password: str) -> Device:
    asked = {"enabled": True, "address": "127.0.0.1", "port": port, "noProxyAddresses": []}
    flash = FileFlash(device.folder.flash)
    basic = {"authenticationType": "basic", "username": "device", "password": password}
    NetworkConfiguration(flash).set_proxy({**asked, **basic})
    return device


def test_a_device_checks_in_through_it_or_says_why_not(tmp_path: Path, start: Start) -> None:
    with ServiceHost(tmp_path / "service") as host:
        host.catalog()
        address = host.service.device_address
        port, log = start(address.port)
        device = told(make(host, tmp_path / "device", wall=time.time()), port, "kettle")
        assert asyncio.run(device.prove_once()).verdict == "attested"
        assert f"CONNECT localhost:{address.port}" in log.read_text()
        with pytest.raises(ServiceUnreachableError, match="wants credentials, or refuses those"):
            asyncio.run(told(device, port, "not kettle").prove_once())


def test_a_port_that_it_makes_no_tunnels_to_is_said(tmp_path: Path, start: Start) -> None:
    with ServiceHost(tmp_path / "service") as host:
        host.catalog()
        port, _ = start(1)
        device = told(make(host, tmp_path / "device", wall=time.time()), port, "kettle")
        with pytest.raises(ServiceUnreachableError, match="refuses to connect there"):
            asyncio.run(device.prove_once())


def test_a_mirror_without_tls_is_read_through_it(start: Start) -> None:
    """Whoever reads along changes nothing that counts: metadata and artifacts are signed."""

    async def read(password: str) -> list[bytes | None]:
        proxy = Proxy(host="127.0.0.1", port=port, username="device", password=password)
        async with (
            StaticServer({"metadata/1.root.json": b"root"}).serving() as mirror,
            aiohttp.ClientSession() as session,
        ):
            source = HttpSource("m", mirror.url, lambda: session, monotonic=time.monotonic, proxy=lambda: proxy)
            return [await source.read(f"metadata/{name}.root.json", 100) for name in (1, 1, 2)]

    port, log = start(1)
    assert asyncio.run(read("kettle")) == [b"root", b"root", None]
    assert "GET http://127.0.0.1:" in log.read_text()
    with pytest.raises(TransferError, match="through the proxy"):
        asyncio.run(read("not kettle"))
