# SPDX-License-Identifier: Apache-2.0
"""A machine that is too slow for its sandbox's self-test is a device all the same, and gets the whole sandbox later."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device_image.booted.at_service import machine_at_service
from tests.device_image.booted.conftest import BOOT_S
from tests.e2e.armillary_processes import armillary_here
from tests.fixtures.waiting import wait_until

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import VirtualMachine, running

# Of each so many seconds it gets so many: within the 20 s that an answer may take it works for less than one. Its clock
# goes on meanwhile, as on a host that does much else.
PERIOD_S, WORKS_S = 5.0, 0.2


@contextlib.contextmanager
def slowed(machine: VirtualMachine) -> Iterator[None]:
    """The machine's emulator is stopped most of the time, for as long as the context lasts."""
    over = threading.Event()

    def slow() -> None:
        while not over.is_set():
            os.kill(machine.process_id, signal.SIGSTOP)
            over.wait(PERIOD_S - WORKS_S)
            os.kill(machine.process_id, signal.SIGCONT)
            over.wait(WORKS_S)

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.long
def test_a_slow_machine_is_attested_without_applications_and_then_has_its_whole_sandbox(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    with machine_at_service(image, architecture, tmp_path) as scene:
        scene.publish(image, architecture)
        scene.tell()

        with running(scene.settings) as machine:
            line, seen = machine.wait_for("enrolled: this machine is a device", within_s=BOOT_S)
            assert line is not None, seen
            with slowed(machine):
                line, seen = machine.wait_for("  sandbox  sandbox=", within_s=4 * BOOT_S)
            assert line is not None, seen
            assert line.endswith("sandbox=waiting  complete=False"), line
            why, _ = machine.wait_for("weaker sandbox: ", within_s=BOOT_S)
            assert why is not None
            assert "did not answer in time" in why
            line, seen = machine.wait_for("check-in  verdict=", within_s=BOOT_S)
            assert line is not None, seen
            assert "verdict=attested" in line
            line, seen = machine.wait_for("sandbox=linux  complete=True", within_s=2 * BOOT_S)
            assert line is not None, seen
            line, seen = machine.wait_for("check-in  verdict=attested", within_s=BOOT_S)
            assert line is not None, seen

        def said(*words: str) -> str:
            return armillary_here(*words, env=scene.env).stdout

        (device,) = json.loads(said("device", "list", "--json"))
        shown = said("device", "show", "--device", device["device_id"])
        assert ["sandbox", "linux"] in [row.split() for row in shown.splitlines()], shown
        reported = said("device", "insights", "--device", device["device_id"], "--json")
        assert "SandboxWeakened (sandbox=waiting): This host did not answer in time" in reported, reported
        wait_until(lambda: "containment-weak" in said("finding", "list", "--json"), "a finding")
