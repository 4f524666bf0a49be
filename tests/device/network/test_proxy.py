# SPDX-License-Identifier: Apache-2.0
"""The device's own connections take its proxy: what goes through it, what it learns, and each way in which one fails."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device.rig import Rig
from tests.fixtures.certificates import private_pem
from tests.fixtures.ports import reserved_port
from tests.fixtures.tunnel_proxy import TunnelProxy
from tests.fixtures.waiting import until
from yarl import URL

from armillary.device.checkin import endpoint
from armillary.device.checkin.endpoint import DeviceEndpoint, tls_context
from armillary.device.network.proxy import Proxy, no_proxy, request_options, through
from armillary.device.state import network_configuration
from armillary.device.state.clock import DeviceClock
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import replace_region
from armillary.errors import ServiceUnreachableError
from armillary.wire.certificates import certificate
from armillary.wire.encoding import cbor

pytestmark = pytest.mark.anyio

PASSWORD = "kettle:of fish"


def tell(rig: Rig, port: int, *, bypass: tuple[str, ...] = (), password: str = "", enabled: bool = True) -> None:
    """Keep a proxy at a port of this host, as a tool or an application does."""
    asked: dict[str, Any] = {
        "enabled": enabled, "address": "localhost", "port": port, "noProxyAddresses": [*bypass],
        "authenticationType": "basic" if password else "anonymous",
    }  # fmt: skip
    asked |= {"username": "device", "password": password} if password else {}
    network_of(rig).set_proxy(asked)


def network_of(rig: Rig) -> NetworkConfiguration:
    return NetworkConfiguration(FileFlash(DeviceFolder(rig.folder).flash))


async def failure(rig: Rig) -> str:
    """Start the device; the reason why its check-in fails."""
    await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "the check-in fails")
    assert rig.service.checks == []
    return str(rig.events("check-in-failed")[0]["reason"])


async def test_check_ins_and_downloads_go_through_it_and_it_reads_nothing(rig: Rig) -> None:
    async with TunnelProxy(credentials=f"device:{PASSWORD}").serving() as proxy:
        tell(rig, proxy.port, password=PASSWORD)
        rig.service.offer = rig.service.deploy(rig.service.application())
        await rig.start()
        await until(rig.outcomes, "what was offered is fetched, runs, and is reported")
        service = URL(rig.service.url)
        assert set(proxy.asked) == {f"CONNECT {service.host}:{service.port} HTTP/1.1"}
        assert proxy.overheard, "what it passes on is seen here, so that nothing in it is no accident"
        for secret in (b"/v1/check-in", b"app_manifest", PASSWORD.encode(), rig.device.device_id.encode()):
            assert secret not in proxy.overheard
    for file in (*Path(rig.folder, "log").iterdir(), rig.folder / "status.json"):
        assert PASSWORD.encode() not in file.read_bytes()


async def test_who_is_named_in_the_bypass_list_is_reached_without_it(rig: Rig) -> None:
    async with TunnelProxy(refuses=403).serving() as proxy:
        tell(rig, proxy.port, bypass=("127.0.0.1",))
        await rig.start()
        await until(lambda: rig.service.checks, "the check-in arrives")
        assert proxy.asked == []


async def test_a_proxy_is_taken_and_left_while_the_device_runs(rig: Rig) -> None:
    async with TunnelProxy().serving() as proxy:
        tell(rig, proxy.port, enabled=False)
        device = await rig.start()
        await until(lambda: rig.service.checks, "it is not switched on: directly")
        assert proxy.asked == []
        network_of(rig).enable_proxy(enabled=True)
        device.check_in_now()
        await until(lambda: proxy.asked, "the next request takes it")
        network_of(rig).delete_proxy()
        asked, checks = len(proxy.asked), len(rig.service.checks)
        device.check_in_now()
        await until(lambda: len(rig.service.checks) > checks, "directly again")
        assert len(proxy.asked) <= asked + 1, "one request may have been under way"


@pytest.mark.parametrize("password", ["", "wrong one"])
async def test_a_proxy_that_wants_other_credentials_is_named_and_they_are_not(rig: Rig, password: str) -> None:
    async with TunnelProxy(credentials="device:right one").serving() as proxy:
        tell(rig, proxy.port, password=password)
        reason = await failure(rig)
        assert f"through the proxy localhost port {proxy.port}: it wants credentials" in reason
        assert "HTTP 407" in reason
        assert not password or password not in reason
        assert "another mind" not in reason, "nobody vouches for what a proxy says"
        assert bool(proxy.shown) is bool(password)
        status = rig.status()["last_check_in"]
        assert "armillary device network proxy show" in status["remedy"]


async def test_a_proxy_that_refuses_says_so(rig: Rig) -> None:
    async with TunnelProxy(refuses=403).serving() as proxy:
        tell(rig, proxy.port)
        assert "it refuses to connect there (HTTP 403)" in await failure(rig)


async def test_a_proxy_that_is_not_there_says_so_and_nothing_goes_around_it(rig: Rig) -> None:
    port = reserved_port()
    tell(rig, port)
    reason = await failure(rig)
    assert f"through the proxy localhost port {port}: it cannot be reached" in reason


@pytest.mark.parametrize("name", ["proxy..example", f"{'x' * 64}.example"])
async def test_a_proxy_whose_name_is_none_ends_no_device(rig: Rig, name: str) -> None:
    """Versions of before kept one; the device ended at its first check-in of each start."""
    kept = {
        "enabled": True, "address": name, "port": 8080, "noProxyAddresses": [], "authenticationType": "anonymous",
    }  # fmt: skip
    region = cbor.encode({1: 1, 2: json.dumps(kept), 3: {}})
    replace_region(FileFlash(DeviceFolder(rig.folder).flash), network_configuration.REGION, region)
    assert f"through the proxy {name} port 8080: its name cannot be looked up" in await failure(rig)
    network_of(rig).delete_proxy()
    rig.device.check_in_now()
    await until(lambda: rig.service.checks, "the device runs on, and its next check-in arrives")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-x\r\n", "what answers there does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "it ended the connection while that was made"),
        (b"", "it ended the connection without an answer"),
    ],
)
async def test_what_is_no_proxy_is_named_in_words_of_the_device(rig: Rig, answer: bytes, said: str) -> None:
    """A library's own words say how it is made: ``400, message=...``, ``ssl:default [None]``."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tell(rig, port)
        reason = await failure(rig)
    assert f"through the proxy localhost port {port}: {said}" in reason
    assert "message=" not in reason
    assert "ssl:" not in reason


async def test_a_proxy_that_is_silent_is_not_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_TIMEOUT_S", 0.3)
    async with TunnelProxy(is_silent=True).serving() as proxy:
        tell(rig, proxy.port)
        assert f"through the proxy localhost port {proxy.port}: no answer in time" in await failure(rig)


async def test_a_proxy_that_answers_tls_itself_is_refused_before_it_hears_anything(rig: Rig) -> None:
    """Its certificate has the service's names, and leads to an authority that many hosts would trust."""
    context, root = impostor()
    async with TunnelProxy(impostor=context).serving() as proxy:
        tell(rig, proxy.port)
        assert "its certificate does not lead to this device's service root" in await failure(rig)
        assert proxy.overheard == b"", "no request, and nothing of the device's certificate"
        await rig.stop()
        # Control: one that trusts that authority is overheard.
        trusting = tls_context(root, DeviceClock(FileFlash(DeviceFolder(rig.folder).flash)))
        async with DeviceEndpoint(rig.service.url, trusting, network_of(rig).proxy_in_use) as fooled:
            with pytest.raises(ServiceUnreachableError):
                await fooled.challenge()
        assert b"GET /v1/challenge" in proxy.overheard


def impostor() -> tuple[ssl.SSLContext, str]:
    """TLS of somebody with an authority of their own, and its certificate in PEM."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    life = {"not_before": now - 300, "not_after": now + 86_400}
    root = certificate.build_root_authority(root_key, name="Company", serial=1, **life)
    server = certificate.build_server_certificate(
        root, root_key, key.public_key(), hosts=["localhost", "127.0.0.1"], serial=2, **life
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private_pem(key) + server.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context, root.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("entry", "host", "takes"),
    [
        ("hub.example", "hub.example", False),
        ("hub.example", "HUB.example.", False),
        (".hub.example", "hub.example", False),
        ("hub.example", "eu.hub.example", False),
        ("hub.example", "myhub.example", True),
        ("eu.hub.example", "hub.example", True),
        ("10.0.0.1", "10.0.0.1", False),
        ("10.0.0.1", "10.0.0.10", True),
        ("::1", "0:0:0:0:0:0:0:1", False),
        ("0.1", "10.0.0.1", True),
        ("...", "hub.example", True),
    ],
)
async def test_what_the_bypass_list_covers(entry: str, host: str, takes: bool) -> None:
    proxy = Proxy(host="proxy.example", port=1, bypass=("other.example", entry))
    assert proxy.takes(host) is takes


async def test_nothing_is_said_of_a_password() -> None:
    proxy = Proxy(host="::1", port=3128, username="device", password=PASSWORD)
    assert PASSWORD not in repr(proxy)
    options = await request_options(lambda: proxy, URL("https://hub.example/"))
    assert str(options["proxy"]) == "http://[::1]:3128", "no credentials stand in its address"
    assert through(lambda: proxy, URL("https://hub.example/")) == " through the proxy ::1 port 3128"
    assert await request_options(no_proxy, URL("https://hub.example/")) == {}
    assert through(no_proxy, URL("https://hub.example/")) == ""
