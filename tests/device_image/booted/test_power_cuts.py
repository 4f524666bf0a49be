# SPDX-License-Identifier: Apache-2.0
"""Power goes at random while a machine takes updates of its OS: it always comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.fixtures.processes import killed_process

TIMES = int(os.environ.get("ARMILLARY_POWER_CUTS", "10"))
LIMIT_S = (2 + TIMES) * BOOT_S


@pytest.mark.image_full
@pytest.mark.timeout(LIMIT_S + BOOT_S)
def test_a_machine_whose_power_goes_during_updates_always_comes_back(image: Path, tmp_path: Path) -> None:
    words = ("--folder", str(tmp_path), "--times", str(TIMES), "--image", str(image), "--json")
    with killed_process(
        [sys.executable, "-m", "armillary", "image", "power-cuts", *words],
        limit_s=LIMIT_S,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        out, error = process.communicate()
    assert process.returncode == 0, error
    found = json.loads(out)
    assert (found["rounds"], found["came_back"]) == (TIMES, TIMES), error
    assert found["by_phase"].get("idle", 0) == 0, error  # each cut came in an update, or in the start after one
