# SPDX-License-Identifier: Apache-2.0
"""Azure Sphere's public client of the device's own API, unmodified, against a real device process over TLS.

Where its packages cannot be installed these tests skip; ``tests/conformance/azure_sdk.py`` makes their environment.
"""

from __future__ import annotations

import shutil
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from tests.conformance.attached_device import Attached, PublicClient, attached, public_client, served
from tests.fixtures.images import pair

from armillary.engines.wifi.simulated import PASSPHRASE
from armillary.identity.manufacturing import ManufacturingState

pytestmark = pytest.mark.e2e
NOBODY = str(uuid.UUID(int=99))
COMPONENT = str(uuid.UUID(int=1))
PLACES = ("hub.example.com", "192.0.2.7")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    """A device that was not finished yet, with one application that the service deployed."""
    with served() as service:
        folder = tmp_path_factory.mktemp("attached") / "device"
        image = service.application(AllowedConnections=list(PLACES), MutableStorage={"SizeKB": 8})
        service.deploy(image)
        service.next_check_in_s = 3600
        with attached(folder, service, ManufacturingState.BLANK, ["--simulated-wifi"]) as found:
            found.wait_until_updated()
            yield found


@pytest.fixture(scope="module")
def client(device: Attached) -> PublicClient:
    return public_client(device)


def test_the_device_says_what_it_is(device: Attached, client: PublicClient) -> None:
    listed, version, status, security, os_version, state, capabilities = client.calls(
        ("devices.get_attached_devices", {}),
        ("device.get_device_rest_api_version", {}),
        ("device.get_device_status", {}),
        ("device.get_device_security_state", {}),
        ("device.get_device_os_version", {}),
        ("manufacturing.get_device_manufacturing_state", {}),
        ("capabilities.get_device_capabilities", {}),
    )
    assert listed == [{"IpAddress": "127.0.0.1", "DeviceConnectionPath": device.address["url"]}]
    assert version == {"REST-API-Version": "4.6.0"}
    assert status["uptime"] >= 0
    assert security["deviceIdentifier"] == security["deviceIdentityPublicKey"]
    assert len(security["deviceIdentifier"]) == 128
    assert security["securityState"] == "Unsecured", "its key is a file"
    assert os_version == {"osversion": "26.11"}
    assert state == {"manufacturingState": "Blank"}
    assert capabilities == {"device_capabilities": []}


def test_log_and_error_reports_are_bytes(client: PublicClient) -> None:
    log, reports = client.calls(("device.get_diagnostic_log", {}), ("device.get_error_report_data", {}))
    assert "application-started" in log
    head, length = struct.unpack(">3sH", reports[:5].encode("latin-1"))
    assert (head, length) == (b"\x01\0\0", len(reports) - 5)


def test_images_and_their_applications(client: PublicClient) -> None:
    images, status, quota, memory = client.calls(
        ("image.get_images", {}),
        ("app.get_app_status", {"component_id": COMPONENT}),
        ("app.get_app_quota", {"component_id": COMPONENT}),
        ("app.get_memory_statistics", {}),
    )
    by_type = {each["image_type"]: each for each in images["components"]}
    application = by_type[10]
    assert (application["uid"], application["name"]) == (COMPONENT, "app1")
    assert application["images"][0]["length_in_bytes"] > 0
    assert len(by_type) > 1, "the OS has images too"
    assert status == {"state": "running"}
    assert quota == {"UsageKB": 0, "LimitKB": 8}
    numbers = memory["memoryStats"]
    assert 0 < numbers["userModeMemoryUsageInBytes"] <= numbers["peakUserModeMemoryUsageInBytes"]
    assert numbers["userModeMemoryUsageInBytes"] <= numbers["currentMemoryUsageInBytes"]


def test_a_component_that_is_not_there(client: PublicClient) -> None:
    status, quota = client.calls(
        ("app.get_app_status", {"component_id": NOBODY}), ("app.get_app_quota", {"component_id": NOBODY})
    )
    assert status == {"state": "notPresent"}
    assert quota[0] == "DeviceError"
    assert "Application is not present" in quota[1]


def test_the_network_is_the_one_of_this_host(client: PublicClient) -> None:
    status, interfaces, service, unknown, odd = client.calls(
        ("network.get_network_status", {}),
        ("network.get_all_network_interfaces", {}),
        ("network.get_network_interface", {"network_interface_name": "azspheresvc"}),
        ("network.get_network_interface", {"network_interface_name": "nobody0"}),
        ("network.get_network_interface", {"network_interface_name": "no!body"}),
    )
    assert status["deviceAuthenticationIsReady"] is True
    names = {each["interfaceName"] for each in interfaces["interfaces"]}
    assert names == ({each.name for each in Path("/sys/class/net").iterdir()} - {"lo"}) | {"azspheresvc", "wlan0"}
    assert service["ipAddresses"] == ["127.0.0.1"]
    assert "Invalid interface" in unknown[1]
    assert "Invalid request URI" in odd[1]


def test_firewall_rules_are_what_applications_declared(client: PublicClient) -> None:
    found = client.call("network.get_network_firewall_ruleset")["rulesets"]
    assert [each["hook"] for each in found] == ["input", "output"]
    for ruleset in found:
        assert ruleset["rules"][-1]["action"] == "drop", "what nobody declared"
    accepted = [rule for rule in found[1]["rules"] if rule["action"] == "accept"]
    assert [rule.get("destinationName", rule["destinationIP"]) for rule in accepted] == list(PLACES)


def test_an_application_is_stopped_and_started(client: PublicClient) -> None:
    asked = {"component_id": COMPONENT}
    stopped, seen, started, debug, again, unknown = client.calls(
        ("app.set_app_status", {**asked, "trigger": "stop"}),
        ("app.get_app_status", asked),
        ("app.set_app_status", {**asked, "trigger": "start"}),
        ("app.set_app_status", {**asked, "trigger": "startDebug"}),
        ("app.set_app_status", {**asked, "trigger": "start"}),
        ("app.set_app_status", {"component_id": NOBODY, "trigger": "start"}),
    )
    assert stopped == seen == {"state": "stopped"}
    assert started == again == {"state": "running"}
    if shutil.which("gdbserver") is None:
        assert "Debugging server is not present" in debug[1]
    else:
        assert (debug["state"], debug["gdbPort"] != debug["outPort"]) == ("debugging", True)
    assert "conflicting state" in unknown[1]
    assert "Application is not present" in unknown[1]


def test_a_package_is_staged_installed_and_deleted(device: Attached, client: PublicClient, tmp_path: Path) -> None:
    component = str(uuid.UUID(int=7))
    package, foreign, garbage = (tmp_path / name for name in ("good", "foreign", "garbage"))
    image = device.service.application(component=7)
    package.write_bytes(device.service.images[str(image.image_id)])
    other = device.service.application(component=8, key=ec.generate_private_key(ec.SECP256R1()))
    foreign.write_bytes(device.service.images[str(other.image_id)])
    garbage.write_bytes(b"no package")
    asked = {"component_id": component}
    found = client.calls(
        ("sideload.stage_image", {"image_path": str(garbage)}),
        ("sideload.stage_image", {"image_path": str(foreign)}),
        ("sideload.stage_image", {"image_path": str(package)}),
        ("app.get_app_status", asked),
        ("sideload.install_images", {"app_control_mode": "Manual"}),
        ("app.get_app_status", asked),
        ("app.set_app_status", {**asked, "trigger": "start"}),
        ("sideload.stage_image", {"image_path": str(package)}),
        ("sideload.install_images", {"app_control_mode": "Auto"}),
        ("sideload.delete_image", asked),
        ("sideload.delete_image", asked),
        ("app.get_app_status", asked),
    )
    assert "check that it is a valid image package" in found[0][1]
    assert "Image not trusted by device" in found[1][1]
    assert found[2:7] == [{}, {"state": "notPresent"}, {}, {"state": "stopped"}, {"state": "running"}]
    assert found[7] == {}
    assert "already been deployed" in found[8][1]
    assert found[9:] == [{}, {}, {"state": "notPresent"}], "an unknown component is no error"


def test_certificates_are_kept_and_their_keys_never_given_back(
    device: Attached, client: PublicClient, tmp_path: Path
) -> None:
    key, root = pair(ec.SECP256R1())
    certificate, secret = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes(root.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    adding = {"certificate_id": "client", "certificate_path": str(certificate), "cert_type": "client"}
    found = client.calls(
        ("certificate.get_certificate_space", {}),
        ("certificate.get_all_certificates", {}),
        ("certificate.add_certificate", {**adding, "private_key_path": str(secret), "password": "wrong"}),
        ("certificate.add_certificate", {**adding, "private_key_path": str(secret), "password": "secret"}),
        ("certificate.add_certificate", {**adding, "certificate_id": "root", "cert_type": "rootca"}),
        ("certificate.get_all_certificates", {}),
        ("certificate.get_certificate", {"certificate_id": "client"}),
        ("certificate.get_certificate_space", {}),
        ("certificate.get_certificate", {"certificate_id": "nobody"}),
        ("certificate.get_certificate", {"certificate_id": "c" * 17}),
        ("certificate.get_certificate", {"certificate_id": "a$b"}),
        ("certificate.remove_certificate", {"certificate_id": "root"}),
        ("certificate.remove_certificate", {"certificate_id": "root"}),
        ("certificate.get_all_certificates", {}),
        ("certificate.remove_certificate", {"certificate_id": "client"}),
    )
    assert found[:2] == [{"AvailableSpace": "24514"}, {"identifiers": []}]
    assert "Private Key content is invalid" in found[2][1]
    assert found[3:6] == [{}, {}, {"identifiers": ["client", "root"]}]
    assert found[6] == {
        "id": "client", "notBefore": "2023-11-14T22:13:20Z", "notAfter": "2033-05-18T03:33:20Z",
        "subjectName": "/O=Armillary/CN=test", "issuerName": "/O=Armillary/CN=test",
    }  # fmt: skip
    assert int(found[7]["AvailableSpace"]) < 24514
    assert "No certificate with that identifier" in found[8][1]
    assert "Certificate identifier too long" in found[9][1]
    assert "identifier is invalid" in found[10][1]
    assert found[11] == {}
    assert "No certificate with that identifier" in found[12][1]
    assert found[13:] == [{"identifiers": ["client"]}, {}]


def test_a_proxy_is_kept_and_forgotten(client: PublicClient) -> None:
    proxy = {
        "enabled": True, "address": "proxy.example", "port": 3128, "no_proxy_address": ["192.0.2.1"],
        "authentication_type": "basic", "username": "somebody", "password": "secret",
    }  # fmt: skip
    none, echoed, kept, status, deleted, gone = client.calls(
        ("network.get_network_proxy", {}),
        ("network.configure_proxy", proxy),
        ("network.get_network_proxy", {}),
        ("network.get_network_status", {}),
        ("network.delete_network_proxy", {}),
        ("network.get_network_proxy", {}),
    )
    assert none == deleted == gone == {}
    assert echoed["password"] == "secret", "what was sent"
    assert kept == {name: value for name, value in echoed.items() if name != "password"}
    assert status["proxy"] == "enabled"


def test_wifi_networks_of_the_simulated_radio(client: PublicClient) -> None:
    psk = {"ssid": "simulated-psk", "security_state": "psk", "config_state": "enabled", "config_name": "bench"}
    found = client.calls(
        ("wifi.get_all_wifi_networks", {}),
        ("wifi.add_wifi_network", {**psk, "psk": "short"}),
        ("wifi.add_wifi_network", {**psk, "psk": "not-the-right-one"}),
        ("network.get_all_failed_network_connections", {}),
        ("network.get_failed_network_connection", {"network_id": "0"}),
        ("wifi.change_wifi_network_config", {"network_id": 0, "config_state": "enabled", "psk": "seven77"}),
        ("wifi.change_wifi_network_config", {"network_id": 0, "config_state": "enabled", "psk": PASSPHRASE}),
        ("wifi.get_configured_wifi_network", {"network_id": 0}),
        ("wifi.get_wifi_interface_state", {}),
        ("wifi.set_wifi_interface_power_savings", {"wifi_power_savings": True}),
        ("wifi.change_wifi_interface_state", {"reload_config": True, "wifi_power_savings": True}),
        ("wifi.set_wifi_interface_reload_configuration", {"reload_config": True}),
        ("wifi.get_wifi_interface_state", {}),
        ("wifi.get_wifi_scan", {}),
        ("network.set_network_interfaces", {"network_interface_name": "wlan0", "interface_up": False}),
        ("wifi.get_wifi_scan", {}),
        ("network.get_network_interface", {"network_interface_name": "wlan0"}),
        ("network.set_network_interfaces", {"network_interface_name": "wlan0", "interface_up": True}),
        ("wifi.remove_configured_wifi_network", {"network_id": 0}),
        ("wifi.get_configured_wifi_network", {"network_id": 0}),
        ("network.set_network_interfaces", {"network_interface_name": "azspheresvc", "interface_up": False}),
    )
    bench = {
        "id": 0, "ssid": "simulated-psk", "configState": "enabled", "securityState": "psk", "targetedScan": False,
        "configName": "bench",
    }  # fmt: skip
    assert found[0] == {"values": []}
    assert "PSK is too short" in found[1][1]
    assert found[2] == bench | {"connectionState": "unknown"}
    assert found[3] == found[4]
    assert [each["error"] for each in found[3]["values"]] == ["WrongKey"]
    assert "PSK is too short" in found[5][1]
    assert found[6] == found[7] == bench | {"connectionState": "connected"}
    assert (found[8]["mode"], found[8]["powerSavingsState"]) == ("simulated", "disabled")
    assert found[9:12] == [{}, {}, {}]
    assert found[12]["powerSavingsState"] == "enabled"
    assert {each["ssid"] for each in found[13]["values"]} == {"simulated-open", "simulated-psk", "simulated-eaptls"}
    assert found[14] == {}
    assert "internal device error" in found[15][1]
    assert "Wi-Fi interface is disabled" in found[15][1]
    assert found[16]["interfaceUp"] is False
    assert found[17:19] == [{}, {}]
    assert "could not be found in the list of configured networks" in found[19][1]
    assert "Operation not permitted on interface" in found[20][1]


def test_enterprise_wifi_names_certificates_of_the_store(
    device: Attached, client: PublicClient, tmp_path: Path
) -> None:
    _, root = pair(ec.SECP256R1())
    certificate = tmp_path / "root.pem"
    certificate.write_bytes(root.public_bytes(Encoding.PEM))
    network = {"ssid": "simulated-eaptls", "security_state": "eaptls", "config_state": "enabled"}
    found = client.calls(
        (
            "certificate.add_certificate",
            {"certificate_id": "authority", "certificate_path": str(certificate), "cert_type": "rootca"},
        ),
        ("wifi.add_wifi_network", {**network, "client_cert_store_identifier": "nobody"}),
        ("wifi.add_wifi_network", {**network, "client_cert_store_identifier": "authority"}),
        ("certificate.remove_certificate", {"certificate_id": "authority"}),
        ("wifi.get_all_wifi_networks", {}),
    )
    assert "No certificate with that identifier" in found[1][1]
    assert "Invalid network properties" in found[2][1]
    assert found[4] == {"values": []}


def test_error_reports_are_cleared_and_the_device_restarts(tmp_path: Path) -> None:
    _, root = pair(ec.SECP256R1())
    certificate = tmp_path / "root.pem"
    certificate.write_bytes(root.public_bytes(Encoding.PEM))
    adding = {"certificate_id": "kept", "certificate_path": str(certificate), "cert_type": "rootca"}
    with served() as service, attached(tmp_path / "device", service, ManufacturingState.BLANK) as device:
        device.wait_for("check-in")
        found = public_client(device).calls(
            ("device.clear_error_report_data", {}),
            ("certificate.add_certificate", adding),
            ("device.restart_device", {}),
        )
        assert found == [{}, {}, {"restartingSystem": True}]
        again = public_client(device, device.wait_for("rest-listening"))
        assert again.call("device.get_device_status")["uptime"] < 60
        assert again.call("certificate.get_all_certificates") == {"identifiers": ["kept"]}, "it survives a restart"


def test_the_manufacturing_state_moves_forward_and_closes_the_device(tmp_path: Path) -> None:
    with served() as service, attached(tmp_path / "device", service, ManufacturingState.BLANK) as device:
        device.wait_for("check-in")
        client = public_client(device)
        found = client.calls(
            ("wifi.get_wifi_scan", {}),
            ("manufacturing.set_device_manufacturing_state", {"manufacturing_state": "Module1Complete"}),
            ("manufacturing.set_device_manufacturing_state", {"manufacturing_state": "Blank"}),
            ("manufacturing.set_device_manufacturing_state", {"manufacturing_state": "DeviceComplete"}),
            ("image.get_images", {}),
            ("sideload.install_images", {}),
            ("device.get_device_security_state", {}),
        )
    assert "Wi-Fi interface is disabled" in found[0][1], "this host has no radio"
    assert found[1] == {"manufacturingState": "Module1Complete"}
    assert found[2][0] == "DeviceError"
    assert found[3] == {"manufacturingState": "DeviceComplete"}
    assert "You do not have permission" in found[4][1]
    assert "application development capability" in found[5][1]
    assert len(found[6]["deviceIdentifier"]) == 128
