# SPDX-License-Identifier: Apache-2.0
"""Certificates, Wi-Fi networks and the proxy: kept by those who may, and nothing secret comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device.interface.asking import Client, Host, application, parts
from tests.fixtures.certificates import private_pem
from tests.fixtures.images import P256

from armillary.device.interface.configuration.wifi import MAX_NEIGHBOURS
from armillary.device.interface.methods import method_table
from armillary.device.state.certificate_store import CertificateStore
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.wifi_configuration import WifiConfiguration
from armillary.device.wifi.wifi import Wifi
from armillary.engines.flash.file import FileFlash
from armillary.engines.wifi.port import Connection, Failure
from armillary.engines.wifi.simulated import PASSPHRASE, SimulatedRadio
from armillary.errors import HostError
from armillary.wire.device import azure_error
from armillary.wire.wifi.events import CertificateRefused, WifiError
from armillary.wire.wifi.replies import Neighbour

pytestmark = pytest.mark.anyio
PUBLIC = P256[1].public_bytes(Encoding.PEM).decode()
PRIVATE = private_pem(P256[0]).decode()


def host(folder: Path, radio: Wifi | None = None) -> Host:
    """The interface of a whole device, with this radio."""
    table = method_table(parts(folder, wifi=radio))
    return Host(folder, lambda _: [row for row in table.rows if row.name != "interface.describe"])


async def refused(client: Client, method: str, **parameters: Any) -> int:
    """Ask for what is refused as wrong; Azure Sphere's number of the reason."""
    found = await client.ask(method, **parameters)
    assert found["name"] == "EINVAL", found
    number: int = found["error_id"]
    return number


async def test_certificates_are_kept_and_no_key_comes_back(tmp_path: Path) -> None:
    async with host(tmp_path).open(application(CertStore=True)) as asked:
        client = asked.client()
        before = await client.ask("certificates.list")
        assert before["ids"] == []
        own = {"id": "own", "type": "client", "certificate": PUBLIC, "key": PRIVATE}
        assert await client.ask("certificates.install", **own) == {}
        assert await client.ask("certificates.install", id="root", type="rootca", certificate=PUBLIC) == {}
        after = await client.ask("certificates.list")
        assert after["ids"] == ["own", "root"]
        assert after["available_bytes"] < before["available_bytes"]
        shown = await client.ask("certificates.show", id="own")
        assert (shown["type"], shown["subject"], shown["not_after"]) == ("client", "CN=test,O=Armillary", 2_000_000_000)
        assert PRIVATE.splitlines()[1] not in json.dumps(shown)
        assert CertificateStore(FileFlash(tmp_path / "flash")).get("own").key, "the device has it"
        assert await client.ask("certificates.delete", id="root") == {}
        assert await refused(client, "certificates.delete", id="root") == azure_error.CERTIFICATE_UNKNOWN
        assert await refused(client, "certificates.show", id="x" * 17) == azure_error.CERTIFICATE_ID_TOO_LONG
        assert (
            await refused(client, "certificates.install", **(own | {"type": "rootca"})) == azure_error.KEY_NOT_ALLOWED
        )
        assert (await client.ask("certificates.install", **(own | {"certificate": "no"})))["name"] == "EINVAL"
        assert (await client.ask("certificates.list"))["ids"] == ["own"]


async def test_networks_are_kept_and_no_passphrase_comes_back(tmp_path: Path) -> None:
    made = host(tmp_path)
    async with made.open(application(WifiConfig=True)) as asked:
        client = asked.client()
        home = await client.ask("wifi.add", ssid="home", security="psk", passphrase="a long secret", name="at home")
        assert home == {"id": 0, "ssid": "home", "security": "psk", "enabled": False, "name": "at home"}
        assert await client.ask("wifi.enable", id=0) == home | {"enabled": True}
        assert await client.ask("wifi.list") == {"networks": [home | {"enabled": True}]}
        assert WifiConfiguration(FileFlash(tmp_path / "flash")).get(0).psk == "a long secret"
        assert (
            await refused(client, "wifi.add", ssid="x", security="psk", passphrase="short") == azure_error.KEY_TOO_SHORT
        )
        assert await refused(client, "wifi.forget", id=9) == azure_error.NETWORK_UNKNOWN
        with_certificate = {"ssid": "work", "security": "eaptls", "client_certificate": "own"}
        assert (await client.ask("wifi.add", **with_certificate))["name"] == "EACCES"
        assert (await client.ask("wifi.list"))["networks"] == [home | {"enabled": True}]
    async with made.open(application(2, WifiConfig=True, EnterpriseWifiConfig=True)) as asked:
        made_known = await asked.client().ask("wifi.add", **with_certificate)
        assert (made_known["id"], made_known["checks_server"]) == (1, False)
    async with made.open(application(WifiConfig=True)) as asked:
        client = asked.client()
        for method in ("wifi.enable", "wifi.forget"):
            assert (await client.ask(method, id=1))["name"] == "EACCES"
        assert await client.ask("wifi.forget", id=0) == {}
        assert [each["id"] for each in (await client.ask("wifi.list"))["networks"]] == [1]


class DumbRadio(SimulatedRadio):
    """A radio that does not answer, and hears more than anybody may be told."""

    def connection(self) -> Connection | None:
        return None

    def scan(self) -> tuple[Neighbour, ...]:
        far = {"bssid": "02:00:00:00:00:01", "frequency": 2437, "signal": -90, "security": "psk"}
        return tuple(Neighbour(ssid="\N{GRINNING FACE}" * 8, **far) for _ in range(1000))  # type: ignore[arg-type]

    def failures(self) -> dict[int, Failure]:
        raise HostError("wpa_supplicant does not answer", remedy="Wait.")


async def test_the_radio_is_asked_for_its_network_its_neighbours_and_what_went_wrong(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path / "flash")
    radio = Wifi(SimulatedRadio(), flash, Journal(None, lambda: 0))
    async with host(tmp_path, radio).open(application(WifiConfig=True)) as asked:
        client = asked.client()
        assert await client.ask("wifi.status") == {"connected": False, "saves_power": False}
        around = (await client.ask("wifi.scan"))["networks"]
        assert {(each["ssid"], each["security"]) for each in around} >= {("simulated-psk", "psk")}
        wrong = {"ssid": "simulated-psk", "security": "psk", "passphrase": "not this one", "enabled": True}
        number = (await client.ask("wifi.add", **wrong))["id"]
        assert (await client.ask("wifi.diagnostics"))["networks"] == [{"id": number, "error": "WrongKey"}]
        await client.ask("wifi.forget", id=number)
        number = (await client.ask("wifi.add", **{**wrong, "passphrase": PASSPHRASE}))["id"]
        assert await client.ask("wifi.save-power") == {}
        found = await client.ask("wifi.status")
        assert (found["connected"], found["id"], found["saves_power"]) == (True, number, True)
        assert (await client.ask("wifi.diagnostics"))["networks"] == []
        assert await client.ask("wifi.save-power", enabled=False) == {}
        assert (await client.ask("wifi.status"))["saves_power"] is False
        assert await client.ask("wifi.reload") == {}
        NetworkConfiguration(flash).switch("wlan0", up=False)
        for method in ("wifi.status", "wifi.scan", "wifi.diagnostics", "wifi.reload"):
            assert (await client.ask(method))["name"] == "ENETDOWN"
    async with host(tmp_path).open(application(2, WifiConfig=True)) as asked:
        assert (await asked.client().ask("wifi.scan"))["name"] == "EPERM", "there is no radio"
    async with host(tmp_path, radio).open(application(3)) as asked:
        assert (await asked.client().ask("wifi.scan"))["name"] == "EACCES", "its manifest does not name it"


async def test_a_certificate_that_was_refused_is_said_and_a_radio_that_is_silent(tmp_path: Path) -> None:
    radio = Wifi(DumbRadio(), FileFlash(tmp_path / "flash"), Journal(None, lambda: 0))
    async with host(tmp_path, radio).open(application(WifiConfig=True)) as asked:
        client = asked.client()
        assert len((await client.ask("wifi.scan"))["networks"]) == MAX_NEIGHBOURS, "they fit into an answer"
        assert (await client.ask("wifi.diagnostics"))["name"] == "EIO"
        refused_one = Failure(
            error=WifiError.AUTHENTICATION_FAILED, certificate=CertificateRefused(reason=1, depth=0, subject="/CN=x")
        )
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(radio, "failures", lambda: {7: refused_one})
            assert (await client.ask("wifi.diagnostics"))["networks"] == [
                {
                    "id": 7,
                    "error": "AuthenticationFailed",
                    "certificate": {"reason": 1, "depth": 0, "subject": "/CN=x"},
                }
            ]


async def test_the_proxy_is_kept_and_read_without_its_password(tmp_path: Path) -> None:
    made = host(tmp_path)
    async with made.open(application(NetworkConfig=True)) as asked:
        client = asked.client()
        given = {"address": "proxy.example", "port": 3128, "no_proxy": ["a.example"], "username": "u", "password": "p"}
        assert await client.ask("network.set-proxy", **given) == {}
        assert (await client.ask("network.proxy"))["name"] == "EACCES", "to write is not to read"
        assert (await client.ask("network.set-proxy", address="no name", port=1))["name"] == "EINVAL"
        assert (await client.ask("network.set-proxy", address="a", port=1, password="p"))["name"] == "EINVAL"
    async with made.open(application(2, ReadNetworkProxyConfig=True)) as asked:
        assert await asked.client().ask("network.proxy") == {
            "enabled": True, "address": "proxy.example", "port": 3128, "no_proxy": ["a.example"],
            "authentication": "basic", "username": "u",
        }  # fmt: skip
    async with made.open(application(NetworkConfig=True)) as asked:
        assert await asked.client().ask("network.delete-proxy") == {}
    assert NetworkConfiguration(FileFlash(tmp_path / "flash")).proxy == {}
