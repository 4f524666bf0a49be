# SPDX-License-Identifier: Apache-2.0
"""Process 1 does what its parts promise: it is run whole, by ``process_1.py``, with a pretended kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from armillary.wire.device_image.command_line import DEVELOPMENT

FULL = "the data partition is full: 12,288 bytes are free, 12,288 without the device's reserve"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What it does and says from its start to the machine's restart, with the command line of a development image."""
    words = [sys.executable, Path(__file__).with_name("process_1.py"), tmp_path_factory.mktemp("run"), DEVELOPMENT]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_was_wrong_with_the_data_is_told_before_the_device_process_is_let_go(said: list[str]) -> None:
    told = [line.removeprefix("device process is told: ") for line in said if line.startswith("device process")]
    assert told == ["", "it was damaged and repaired", FULL], "the first line says that what is written is kept"
    assert {f"armillary: {each}" for each in told[1:]} <= {*said}


def test_it_asks_for_an_address_and_is_woken_by_time_and_packets(said: list[str]) -> None:
    asked = [line for line in said if "switches" in line or "address" in line]
    assert asked == [
        "switches lo on",
        "switches eth0 on",
        "asks for an address of eth0",
        "armillary: eth0 has the address 10.0.2.15",
    ]


def test_its_watchdog_is_fed_while_data_is_repaired_and_while_it_runs(said: list[str]) -> None:
    assert [line for line in said if line.startswith("fed")] == ["fed while it repairs", "fed while it runs"]


def test_a_development_image_has_its_shells_and_hears_of_their_end(said: list[str]) -> None:
    assert "its shell has ended" in said


def test_the_device_process_is_heard_ended_and_the_machine_restarted(said: list[str]) -> None:
    (ready,) = [number for number, line in enumerate(said) if line.startswith("armillary: ready after")]
    assert said[ready].endswith("after the kernel began)")
    assert said[-4:] == [
        "armillary: the device process ended (signal 15)",
        "data is unmounted",
        "armillary: restarting",
        "the kernel restarts the machine",
    ]
