# SPDX-License-Identifier: Apache-2.0
"""A guardian as in the field: image, deployment, sandbox, a coffee machine over Modbus TCP, its hub; and it is killed.

The machine is simulated and says so. Everything else is real: processes, TLS, attestation, the sandbox, the disk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.guardian_field import Field, deployed, reported
from tests.fixtures.memory import resident_kb
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

RSS_LIMIT_KB = 60 * 1024


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    """A guardian that answers."""
    with (
        deployed(tmp_path) as found,
        (tmp_path / "device.log").open("wb") as log,
        killed_process(found.boot, stdout=log, stderr=subprocess.STDOUT, limit_s=None),
    ):
        wait_until(lambda: found.values().get("simulated") is not None or found.reported(), "the guardian", 60)
        yield found


def test_a_guardian_polls_obeys_its_guard_survives_its_death(field: Field) -> None:
    wait_until(lambda: field.values().get("brewTemp", 0) > 90, "values of the machine's module")
    wait_until(
        lambda: reported(field, "/twin", "espresso1").get("simulated") is True,
        "the machine to say that it is simulated",
    )

    call = ("guardian", "command", field.device_id, "espresso1", "setBrewTemp")
    assert field.cli(*call, "93.5", "--json")["verified"] is True
    assert field.machine.life.machine.settings()["setBrewTemp"] == pytest.approx(93.5)
    assert "rule value" in field.cli(*call, "140", fails=True)
    assert field.machine.life.machine.settings()["setBrewTemp"] == pytest.approx(93.5)
    wait_until(
        lambda: (
            [each["outcome"] for each in field.reported()["equipment"]["espresso1"]["attempts"]] == ["done", "refused"]
        ),
        "both attempts in the twin",
    )

    assert resident_kb(field.journal("application-started")[-1]["pid"]) <= RSS_LIMIT_KB

    before = field.reported()["boot"]
    killed_ms = int(time.time() * 1000)
    os.kill(field.journal("application-started")[-1]["pid"], signal.SIGKILL)
    wait_until(lambda: field.reported()["boot"] != before, "the next guardian", 60)

    wait_until(lambda: len(field.times(killed_ms)) > 4, "values of the next guardian", 60)
    field.check_that_each_reading_came_once()
