# SPDX-License-Identifier: Apache-2.0
"""A proxy that an application set: it cannot keep its device from the service, and it is nothing of this machine."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash
from tests.device.interface.asking import application
from tests.device.interface.test_configuration_methods import host
from tests.device.rig import Rig
from tests.fixtures.ports import reserved_port
from tests.fixtures.tunnel_proxy import TunnelProxy
from tests.fixtures.waiting import until
from yarl import URL

from armillary.device.network import proxy as proxy_module
from armillary.device.network.proxy import Proxy, ProxyAddressError, host_to_connect, request_options
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.network_configuration import FAILURES_ALLOWED, HELD_S, GivenUp, NetworkConfiguration
from armillary.engines.flash.file import FileFlash

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000
APP, OTHER = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


def proxy_at(address: str, port: int = 3128) -> dict[str, Any]:
    return {
        "enabled": True, "address": address, "port": port, "noProxyAddresses": [], "authenticationType": "anonymous",
    }  # fmt: skip


def network_of(rig: Rig) -> NetworkConfiguration:
    return NetworkConfiguration(FileFlash(DeviceFolder(rig.folder).flash))


def fail(kept: NetworkConfiguration, times: int) -> list[GivenUp]:
    return [found for _ in range(times) if (found := kept.proxy_failed(NOW)) is not None]


# What is kept


@pytest.mark.parametrize("owner", [{}, proxy_at("owner.example")])
async def test_the_owners_way_is_taken_again_and_never_given_up(owner: dict[str, Any]) -> None:
    kept = NetworkConfiguration(CutFlash())
    if owner:
        kept.set_proxy(owner)
    assert fail(kept, 3 * FAILURES_ALLOWED) == []
    assert kept.proxy == owner
    kept.try_proxy(proxy_at("app.example"), APP, NOW)
    assert fail(kept, FAILURES_ALLOWED - 1) == []
    assert kept.proxy == proxy_at("app.example"), "a few failures end nothing"
    instead = "owner.example port 3128" if owner else ""
    assert fail(kept, 1) == [GivenUp(APP, "app.example port 3128", instead)]
    assert kept.proxy == owner
    assert fail(kept, 3 * FAILURES_ALLOWED) == []


async def test_to_have_no_proxy_is_on_trial_too() -> None:
    kept = NetworkConfiguration(CutFlash())
    kept.set_proxy(proxy_at("owner.example"))
    kept.try_proxy({}, APP, NOW)
    assert kept.proxy == {}
    assert fail(kept, FAILURES_ALLOWED) == [GivenUp(APP, "", "owner.example port 3128")]


async def test_the_last_one_that_worked_is_taken_first() -> None:
    kept = NetworkConfiguration(CutFlash())
    kept.set_proxy(proxy_at("owner.example"))
    kept.try_proxy(proxy_at("good.example"), APP, NOW)
    fail(kept, FAILURES_ALLOWED - 1)
    kept.proxy_worked()
    fail(kept, FAILURES_ALLOWED - 1)
    assert kept.proxy == proxy_at("good.example"), "what worked begins anew"
    kept.proxy_worked()
    kept.try_proxy(proxy_at("bad.example"), OTHER, NOW)
    kept.try_proxy(proxy_at("worse.example"), OTHER, NOW)
    assert [each.instead for each in fail(kept, 2 * FAILURES_ALLOWED)] == [
        "good.example port 3128", "owner.example port 3128",
    ]  # fmt: skip


async def test_who_sets_it_again_and_again_wins_no_time() -> None:
    kept = NetworkConfiguration(CutFlash())
    for number in range(FAILURES_ALLOWED - 1):
        kept.try_proxy(proxy_at(f"dead{number}.example"), APP, NOW)
        assert fail(kept, 1) == []
    kept.try_proxy(proxy_at("dead.example"), APP, NOW)
    assert len(fail(kept, 1)) == 1
    for moment in (NOW, NOW + HELD_S - 1):
        with pytest.raises(OSError, match="given up") as refused:
            kept.try_proxy(proxy_at("dead.example"), APP, moment)
        assert refused.value.errno == errno.EBUSY
    assert kept.proxy == {}
    kept.try_proxy(proxy_at("dead.example"), APP, NOW + HELD_S)
    assert kept.proxy == proxy_at("dead.example")


async def test_what_a_tool_sets_is_the_owners_at_once() -> None:
    kept = NetworkConfiguration(CutFlash())
    kept.try_proxy(proxy_at("app.example"), APP, NOW)
    in_use = kept.proxy_in_use()
    assert in_use is not None
    assert in_use.of_application
    kept.set_proxy(proxy_at("owner.example"))
    in_use = kept.proxy_in_use()
    assert in_use is not None
    assert not in_use.of_application
    assert fail(kept, FAILURES_ALLOWED) == []


# A device


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of applications may be at this machine: tests have no other."""
    monkeypatch.setattr(proxy_module, "refuse_address", lambda *_: "")


@pytest.mark.usefixtures("anywhere")
async def test_a_dead_proxy_of_an_application_is_given_up_and_told(rig: Rig) -> None:
    prepared(rig, proxy_at("127.0.0.1", reserved_port()))
    await rig.start()
    await until(lambda: any(reports_of(rig)), "the service hears of it, directly")
    assert len(rig.events("check-in-failed")) == FAILURES_ALLOWED
    [event] = rig.events("proxy-given-up")
    assert (event["instead"], event["component_id"]) == ("no proxy", APP)
    [report] = reports_of(rig)
    assert APP in report
    assert "no proxy is used now" in report


@pytest.mark.usefixtures("anywhere")
async def test_one_that_passes_check_ins_and_no_downloads_is_given_up_too(rig: Rig) -> None:
    async with TunnelProxy().serving() as through:
        prepared(rig, proxy_at("127.0.0.1", through.port))
        image = rig.service.application()
        kept = rig.service.images.pop(str(image.image_id))
        rig.service.deploy(image)
        await rig.start()
        await until(rig.status, "it has started")
        await until(lambda: rig.events("proxy-given-up"), "the downloads count")
        assert len(rig.events("update-postponed")) >= FAILURES_ALLOWED
        rig.service.images[str(image.image_id)] = kept
        asked = len(through.asked)
        await until(rig.outcomes, "the update arrives")
        assert len(through.asked) == asked


@pytest.mark.usefixtures("anywhere")
async def test_one_that_works_stays(rig: Rig) -> None:
    async with TunnelProxy().serving() as through:
        prepared(rig, proxy_at("127.0.0.1", through.port))
        rig.service.deploy(rig.service.application())
        await rig.start()
        await until(rig.outcomes, "the update arrives")
        assert through.asked
        assert network_of(rig).proxy["address"] == "127.0.0.1"
        assert rig.events("proxy-given-up") == []


async def test_a_proxy_of_an_application_at_this_machine_is_never_connected_to(rig: Rig) -> None:
    async with TunnelProxy().serving() as inside:
        prepared(rig, proxy_at("localhost", inside.port))
        await rig.start()
        await until(rig.status, "it has started")
        await until(lambda: rig.events("proxy-given-up"), "no way through it")
        assert "belongs to this machine" in rig.events("check-in-failed")[0]["reason"]
        assert inside.asked == []


def prepared(rig: Rig, asked: dict[str, Any]) -> None:
    network_of(rig).try_proxy(asked, APP, NOW)


def reports_of(rig: Rig) -> list[str]:
    found = [report for request, _ in rig.service.checks for report in request.error_reports]
    return [each.description for each in found if each.event_type == "ProxyGivenUp"]


# Its address

INSIDE = ("127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "::1", "::", "fe80::1", "::ffff:127.0.0.1")


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_is_looked_at_each_time_it_is_connected_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = "192.0.2.7"

    async def resolved(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET6 if ":" in now else socket.AF_INET, socket.SOCK_STREAM, 6, "", (now, 3128))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved, raising=False)
    of_application = Proxy(host="proxy.example", port=3128, of_application=True)
    options = await request_options(lambda: of_application, URL("https://hub.example/"))
    assert str(options["proxy"]) == "http://192.0.2.7:3128", "the address that was looked at"
    now = address
    with pytest.raises(ProxyAddressError, match="application set it"):
        await request_options(lambda: of_application, URL("https://hub.example/"))
    assert await host_to_connect(Proxy(host="proxy.example", port=3128)) == "proxy.example", "the owner's"


@pytest.mark.parametrize("address", [*INSIDE, "localhost", "LocalHost."])
async def test_an_application_is_refused_an_address_of_this_machine_at_once(tmp_path: Path, address: str) -> None:
    made = host(tmp_path)
    async with made.open(application(NetworkConfig=True)) as asked:
        client = asked.client()
        assert (await client.ask("network.set-proxy", address=address, port=3128))["name"] == "EACCES"
        assert NetworkConfiguration(FileFlash(tmp_path / "flash")).proxy == {}
        assert await client.ask("network.set-proxy", address="192.0.2.7", port=3128) == {}
        assert json.dumps(NetworkConfiguration(FileFlash(tmp_path / "flash")).proxy).count("192.0.2.7") == 1
