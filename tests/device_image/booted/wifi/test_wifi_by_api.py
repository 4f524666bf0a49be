# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi of a machine that is a device: by an application with WifiConfig, and by Azure Sphere's public client.

The machine is a device of a service; access points stand on the other simulated radios of its kernel. The application
goes first, then the client asks at the machine's service link, then the machine restarts.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests.conformance.attached_device import PublicClient
from tests.device_image.booted.at_link import UP, asked, client_of, heard, open_for_tools
from tests.device_image.booted.at_service import AtService, machine_at_service
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.wifi import story as told
from tests.device_image.booted.wifi.access_points import files_of
from tests.fixtures.application_samples import APPLIBS, LIBRARY, STRICT
from tests.fixtures.images import manifest
from tests.fixtures.waiting import wait_until

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.service_link.link import service_link
from armillary.device_image.virtual_machine import running

STORY_S = 3 * BOOT_S
NOT_TRUSTED = 1
PASSWORD = "secret"
SECURITY = {"armillary-open": "open", "armillary-psk": "psk", "armillary-sae": "psk", "armillary-work": "eaptls"}


@dataclass
class Radio:
    """The machine's Wi-Fi as the public client sees it."""

    client: PublicClient

    def add(self, ssid: str, security: str, **more: Any) -> int:
        found = self.client.call(
            "wifi.add_wifi_network", ssid=ssid, security_state=security, config_state="enabled", **more
        )
        assert found["ssid"] == ssid, found
        return int(found["id"])

    def remove(self, number: int) -> None:
        assert self.client.call("wifi.remove_configured_wifi_network", network_id=number) == {}

    def joined(self, number: int, network: int) -> dict[str, Any]:
        """The radio's state once it is in a network, with an address of it."""

        def there() -> Any:
            found = self.client.call("wifi.get_wifi_interface_state")
            return found if found.get("id") == number and found.get("ipAddress") else None

        found = wait_until(there, "in the network", STORY_S)
        assert (found["connectionState"], found["freq"]) == ("connected", 2437)
        assert found["ipAddress"].startswith(f"10.77.{network}.")
        return dict(found)

    def failed(self, number: int) -> dict[str, Any]:
        """Why the radio is not in a network, once that is known."""

        def known() -> Any:
            return self.client.call("network.get_failed_network_connection", network_id=str(number))["values"]

        (found,) = wait_until(known, "a failure", STORY_S)
        return dict(found)


def application(folder: Path, architecture: Architecture) -> Path:
    """A folder to pack: an application that manages Wi-Fi, compiled for the machine."""
    (folder / "bin").mkdir(parents=True)
    words = {"WifiConfig": True, "EnterpriseWifiConfig": True}
    (folder / "app_manifest.json").write_text(json.dumps(manifest("wifi", uuid.UUID(int=77), Capabilities=words)))
    source = Path(__file__).with_name("application.c")
    command = [architecture.compiler, "-std=gnu11", *STRICT, "-static", f"-I{APPLIBS / 'c'}", str(source), str(LIBRARY)]
    command += [f'-DPASSPHRASE="{told.PSK}"', "-o", str(folder / "bin/app")]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def scene(story: Path, architecture: Architecture, tmp_path: Path) -> Iterator[AtService]:
    """A machine of the story's image that is off, and a service that has the application for it."""
    points = ("-fw_cfg", "name=opt/armillary-story/points,string=alone")
    with machine_at_service(story, architecture, tmp_path, attached=points) as found:
        found.publish(story, architecture)
        found.tell(*found.deploy("Wireless", application(tmp_path / "app", architecture)))
        yield found


def test_a_machines_wifi_is_managed_by_an_application_and_by_the_public_client(
    scene: AtService, story: Path, tmp_path: Path
) -> None:
    with service_link(scene.settings.folder) as link:
        attached = (*scene.settings.attached, *link.words)
        with running(replace(scene.settings, attached=attached)) as machine:
            seen = heard(machine, link, UP, "story points", "app done", within_s=STORY_S)
            check_application("\n".join(seen))
            open_for_tools(scene, tmp_path)
            radio = Radio(client_of(scene, tmp_path))
            (left,) = radio.client.call("wifi.get_all_wifi_networks")["values"]
            assert (left["ssid"], left["serverIsChecked"]) == ("armillary-work", False)
            radio.remove(left["id"])
            check_scan(radio)
            check_networks(radio)
            kept = check_certificates(radio, files_of(story), tmp_path)
            assert radio.client.call("wifi.set_wifi_interface_power_savings", wifi_power_savings=True) == {}
            heard(machine, link, 'story sleeps {"now": true}')
            (row,) = asked(scene, "wifi", "list")
            assert (row["ssid"], row["connectionState"]) == ("armillary-work", "connected")

            assert asked(scene, "restart") == {"restartingSystem": True}
            heard(machine, link, UP, "story points", 'story sleeps {"now": true}', within_s=STORY_S)
            radio = Radio(client_of(scene, tmp_path))
            assert radio.joined(kept, 4)["powerSavingsState"] == "enabled", "from its records alone"
            off = {"network_interface_name": "wlan0", "interface_up": False}
            gone, closed = radio.client.calls(("network.set_network_interfaces", off), ("wifi.get_wifi_scan", {}))
            assert gone == {}
            assert "Wi-Fi interface is disabled" in closed[1]


def check_application(text: str) -> None:
    """What the application was answered."""

    said: dict[tuple[int, str], str] = {}
    for line in text.splitlines():
        _, mark, rest = line.partition("text=app ")
        if mark and rest != "done":
            number, method, piece = rest.split(" ", 2)
            assert not piece.startswith("refused"), text
            said[int(number), method] = said.get((int(number), method), "") + piece

    def answers(wanted: str) -> list[Any]:
        return [json.loads(each) for (_, method), each in sorted(said.items()) if method == wanted]

    (around,) = answers("wifi.scan")
    assert {each["ssid"]: each["security"] for each in around["networks"] if each["ssid"]} == SECURITY
    assert answers("wifi.diagnostics") == [{"networks": [{"id": 0, "error": "WrongKey"}]}]
    joined, asleep = answers("wifi.status")
    assert (joined["connected"], joined["id"], joined["saves_power"]) == (True, 1, False)
    assert joined["address"].startswith("10.77.3."), "the hidden one, by a targeted scan"
    assert asleep["saves_power"] is True
    assert answers("wifi.add")[-1]["checks_server"] is False
    assert "wifi-server-unchecked" in text
    assert "without a root certificate any access point of this name is believed" in text
    assert "wifi-certificate-lost" in text, "the store has none yet"


def check_scan(radio: Radio) -> None:
    def around() -> Any:
        found = radio.client.call("wifi.get_wifi_scan")["values"]
        return found if {each["ssid"] for each in found} >= SECURITY.keys() else None

    found = wait_until(around, "all access points", STORY_S)
    by_name = {each["ssid"]: each["securityState"] for each in found}
    assert {name: by_name[name] for name in SECURITY} == SECURITY  # the hidden one's name is known since it was joined
    assert all(each["freq"] == 2437 and -100 < each["signal_level"] < 0 for each in found)


def check_networks(radio: Radio) -> None:
    """Open, by passphrases, hidden; each that is not joined says why."""
    number = radio.add("armillary-open", "open")
    radio.joined(number, 0)
    radio.remove(number)
    number = radio.add("armillary-psk", "psk", psk="another passphrase")
    assert radio.failed(number)["error"] == "WrongKey"
    radio.client.call("wifi.change_wifi_network_config", network_id=number, config_state="enabled", psk=told.PSK)
    radio.joined(number, 1)
    assert radio.client.call("network.get_all_failed_network_connections") == {"values": []}
    radio.remove(number)
    number = radio.add("armillary-psk", "open")
    assert radio.failed(number)["error"] == "SecurityTypeMismatch"
    radio.remove(number)
    number = radio.add("nowhere", "open")
    assert radio.failed(number)["error"] == "NetworkNotFound"
    radio.remove(number)
    number = radio.add("armillary-hidden", "psk", psk=told.PSK, target_scan=True)
    radio.joined(number, 3)
    radio.remove(number)


def check_certificates(radio: Radio, files: dict[str, str], folder: Path) -> int:
    """EAP-TLS with certificates of the store, which the client puts there; the network that stays."""
    for name, text in files.items():
        (folder / name).write_text(text)
    key = load_pem_private_key((folder / "client.key").read_bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    (folder / "client.key").write_bytes(sealed)  # the public client takes no other keys
    client = {"cert_type": "client", "private_key_path": str(folder / "client.key"), "password": PASSWORD}
    for name, more in (("client", client), ("root", {"cert_type": "rootca"}), ("other", {"cert_type": "rootca"})):
        path = str(folder / f"{name}.pem")
        made = radio.client.call("certificate.add_certificate", certificate_id=name, certificate_path=path, **more)
        assert made == {}, made
    enterprise = {"client_cert_store_identifier": "client", "root_ca_cert_store_identifier": "other"}
    number = radio.add("armillary-work", "eaptls", **enterprise)
    found = radio.failed(number)
    assert (found["error"], found["certError"]) == ("AuthenticationFailed", NOT_TRUSTED)
    radio.remove(number)
    number = radio.add("armillary-work", "eaptls", client_cert_store_identifier="client")
    assert radio.joined(number, 4)["serverIsChecked"] is False, "whoever answers by that name"
    radio.remove(number)
    number = radio.add("armillary-work", "eaptls", **{**enterprise, "root_ca_cert_store_identifier": "root"})
    assert radio.joined(number, 4)["serverIsChecked"] is True
    return number
