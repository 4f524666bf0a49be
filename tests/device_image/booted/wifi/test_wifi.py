# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi on a machine: simulated radios of the own kernel, the device on one, access points (hostapd) on the others.

The story (``wifi/story.py``) is played inside by the objects that the device process uses. It takes an image of its own,
built here beside the one that is tested.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.wifi.access_points import CLIENT, RADIOS

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import MachineSettings, running

STORY_S = 2 * BOOT_S
CHANNEL_6 = 2437  # MHz
NOT_TRUSTED = 1


@pytest.fixture(scope="module")
def told(story: Path, architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both starts told, by step; between them the power went."""
    folder = tmp_path_factory.mktemp("wifi") / "machine"
    settings = MachineSettings(folder=folder, image=story, machine=architecture.name, tpm=False)
    found: dict[str, Any] = {}
    for _ in range(2):
        with running(settings) as machine:
            line, seen = machine.wait_for("story done", "story failed", within_s=STORY_S)
            machine.pull_the_plug()
        text = "\n".join(seen)
        assert line is not None, text
        assert "story failed" not in line, text
        for each in seen:
            _, mark, rest = each.partition("story ")
            name, _, values = rest.partition(" ")
            if mark and name != "log":
                found[name] = json.loads(values)
    return found


def test_there_are_as_many_simulated_radios_as_the_signed_command_line_says(told: dict[str, Any]) -> None:
    assert told["radios"] == {"found": [f"wlan{number}" for number in range(RADIOS)]}


def test_a_scan_names_access_points_with_channel_signal_and_security(told: dict[str, Any]) -> None:
    around = {ssid: (security, frequency) for ssid, security, frequency, _, _ in told["scan"]["around"] if ssid}
    assert around == {
        "armillary-open": ("open", CHANNEL_6),
        "armillary-psk": ("psk", CHANNEL_6),
        "armillary-sae": ("psk", CHANNEL_6),
        "armillary-work": ("eaptls", CHANNEL_6),
    }
    assert all(-100 < signal < 0 and len(bssid) == 17 for *_, signal, bssid in told["scan"]["around"])


@pytest.mark.parametrize(
    ("step", "network"), [("open", 0), ("psk", 1), ("sae", 2), ("targeted", 3), ("eaptls", 4), ("killed", 4)]
)
def test_a_network_is_joined_and_gives_an_address(told: dict[str, Any], step: str, network: int) -> None:
    assert told[step]["frequency"] == CHANNEL_6
    assert told[step]["address"].startswith(f"10.77.{network}.")


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("wrong-key", "WrongKey"),
        ("not-found", "NetworkNotFound"),
        ("hidden", "NetworkNotFound"),
        ("mismatch", "SecurityTypeMismatch"),
        ("wrong-root", "AuthenticationFailed"),
    ],
)
def test_why_a_network_is_not_joined_is_said(told: dict[str, Any], step: str, error: str) -> None:
    assert told[step]["error"] == error


def test_a_network_of_another_root_is_refused_over_its_certificate(told: dict[str, Any]) -> None:
    assert told["wrong-root"]["certificate"][0] == NOT_TRUSTED
    assert CLIENT not in told["wrong-root"]["certificate"][1]


def test_the_radio_sleeps_when_it_is_told_to(told: dict[str, Any]) -> None:
    assert told["power"] == {"before": False, "after": True}


def test_networks_certificates_and_power_saving_outlive_a_power_cut(told: dict[str, Any]) -> None:
    assert told["again"]["address"].startswith("10.77.4.")
    assert told["again"]["saves_power"] is True
