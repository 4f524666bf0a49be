# SPDX-License-Identifier: Apache-2.0
"""The demo's visit to the console, over real TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.running_service import running_service

from armillary.cli.demo.console_visit import see_the_fleet
from armillary.errors import HostError


def test_the_demo_signs_in_and_reads_the_fleets_first_line(tmp_path: Path) -> None:
    with running_service(tmp_path, console=True) as running:
        root = str(running.root)
        assert see_the_fleet(running.address, running.token_of("Administrator"), root) == "No devices yet."
        with pytest.raises(HostError, match="the console did not"):
            see_the_fleet(running.address, "no-such-token", root)
