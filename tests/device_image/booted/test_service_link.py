# SPDX-License-Identifier: Apache-2.0
"""The device's own API on a machine, at its service link: Azure Sphere's public client, and our own commands.

The machine is as in the field, DeviceComplete: it says what it is, and no more until a capability file of its service
is in force. What the host's commands are told they read from the machine's folder.
"""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.device_image.booted.at_link import UP, asked, client_of, heard, open_for_tools
from tests.device_image.booted.at_service import done, machine_at_service
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.service_link.link import service_link
from armillary.device_image.virtual_machine import running


def test_the_public_client_and_our_commands_reach_a_machine_by_its_service_link_alone(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    if not HARDWARE[architecture.name].has_fw_cfg:
        pytest.skip("this machine can be handed no secret by its host; others can: make image-test-full")
    with machine_at_service(image, architecture, tmp_path) as scene, service_link(scene.settings.folder) as link:
        scene.publish(image, architecture)
        scene.tell()
        with running(replace(scene.settings, attached=link.words)) as machine:
            seen = heard(machine, link, UP, "check-in  verdict=attested")
            text = "\n".join(seen)
            assert "eth0 has the address 10.0.2.15" in text, "the uplink is the other card"
            client = client_of(scene, tmp_path)
            status, security, state, images, scan = client.calls(
                ("device.get_device_status", {}),
                ("device.get_device_security_state", {}),
                ("manufacturing.get_device_manufacturing_state", {}),
                ("image.get_images", {}),
                ("wifi.get_wifi_scan", {}),
            )
            assert status["uptime"] >= 0
            (device,) = json.loads(done(armillary_here("device", "list", "--json", env=scene.env)))
            assert security["securityState"] == "Secured", "its key is in the TPM"
            assert security["deviceIdentifier"] == device["device_id"]
            assert state == {"manufacturingState": "DeviceComplete"}
            for closed in (images, scan):
                assert "You do not have permission" in closed[1]

            open_for_tools(scene, tmp_path)
            version, images, interfaces, memory, quiet = client.calls(
                ("device.get_device_os_version", {}),
                ("image.get_images", {}),
                ("network.get_all_network_interfaces", {}),
                ("app.get_memory_statistics", {}),
                ("wifi.get_wifi_scan", {}),
            )
            assert version == {"osversion": "26.12"}
            assert {each["name"] for each in images["components"]} >= {"root-fs", "unified-kernel-image"}
            by_name = {each["interfaceName"]: each for each in interfaces["interfaces"]}
            assert by_name["azspheresvc"]["ipAddresses"][0] == "192.168.35.2"
            assert by_name["azspheresvc"]["connectedToInternet"] is False
            assert by_name["eth0"]["connectedToInternet"] is True
            assert memory["memoryStats"]["currentMemoryUsageInBytes"] >= 0
            assert "Wi-Fi interface is disabled" in quiet[1], "this machine has no radio"

            assert {each["image_type"] for each in asked(scene, "image", "list-installed")} >= {"RootFs"}
            assert asked(scene, "network", "show-status")["deviceAuthenticationIsReady"] is True
            assert asked(scene, "certificate", "list") == []
            assert not is_let_in(link.words), "a connection that does not come through the door"
            assert asked(scene, "restart") == {"restartingSystem": True}
            again = heard(machine, link, UP, "check-in  verdict=attested")
            assert "restarting" in "\n".join(again), "the whole machine"
            assert asked(scene, "image", "list-installed"), "the capability file outlives it"
        print(*(each for each in seen if UP in each or "ready after" in each), sep="\n")


def is_let_in(words: tuple[str, ...]) -> bool:
    """Whether QEMU's own port, which every user of the host reaches, leads to an answer without the door's secret."""
    (forward,) = [word for word in ",".join(words).split(",") if word.startswith("hostfwd=")]
    port = urlsplit(forward.replace("hostfwd=tcp:", "tcp://").partition("-")[0]).port
    with socket.create_connection(("127.0.0.1", port or 0), 30) as stranger:
        stranger.sendall(bytes(32) + b"GET /status HTTP/1.1\r\n\r\n")
        try:
            return bool(stranger.recv(1))
        except ConnectionResetError:
            return False
