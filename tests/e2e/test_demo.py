# SPDX-License-Identifier: Apache-2.0
"""The whole story, on real processes with real TLS: what ``make demo`` shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from armillary.cli.demo.demo import SCENES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.mark.long
def test_demo_plays_every_scene_and_leaves_nothing_running():
    done = subprocess.run(
        [sys.executable, "-m", "armillary", "demo", "--json"], capture_output=True, text=True, check=False, timeout=280
    )
    summary = json.loads(done.stdout)
    failed = [step for step in summary["steps"] if not step["ok"]]
    assert failed == []
    assert [step["name"] for step in summary["steps"]] == [name for name, _ in SCENES]
    assert summary["ok"] is True
    told = {step["name"]: step["detail"] for step in summary["steps"]}
    assert re.search(r"a shot of \d+(\.\d+)? ml .* warmest of 32 zones", told["telemetry heard"])
    assert "140 °C refused by the guardian (rule value)" in told["machine commanded"]
    assert "fell silent with OS 99.2; 1 of 1 devices failed" in told["bad OS release halted and rolled back"]
    assert told["attack: bad release halted and rolled back"].startswith("1 of 3 cables tried it")
    assert ": 3 of 5, in DE" in told["Saturday: exploited vulnerability found"]
    assert re.search("after [01] of 3 devices", told["Saturday: playbook halts what spreads it"])
    assert told["Saturday: affected devices repaired"] == "3 devices repaired (100 %), 2 others left alone"
    assert "7 of 7 fields filled with sources" in told["Saturday: first report drafted"]
    assert told["Saturday: dossier verified offline"].endswith("with one bit changed it is refused")
    assert done.returncode == 0
    assert summary["console_url"].startswith("https://")
    left = subprocess.run(
        ["pgrep", "-f", "armillary-demo-"], capture_output=True, text=True, check=False
    ).stdout.split()
    assert left == [], f"processes of the demo still run: {left}"
