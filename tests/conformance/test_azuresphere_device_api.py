# SPDX-License-Identifier: Apache-2.0
"""Azure Sphere's public client of the device's own API, unmodified, against a real device process over TLS.

Where its packages cannot be installed these tests skip; ``tests/conformance/azure_sdk.py`` makes their environment.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.attached_device import Attached, PublicClient, attached, public_client, served

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
        with attached(folder, service, ManufacturingState.BLANK) as found:
            found.wait_for("application-started")
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
    assert names == ({each.name for each in Path("/sys/class/net").iterdir()} - {"lo"}) | {"azspheresvc"}
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
