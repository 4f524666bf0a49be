# SPDX-License-Identifier: Apache-2.0
"""The external suite theupdateframework/tuf-conformance against the device's TUF client.

It runs where TUF_CONFORMANCE_DIR names a checkout of it, with our interpreter and its own simulated repository. Run with
commit eec841c (v2.4.0 and 80 commits): 113 of 113.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.fixtures.processes import killed_process

SUITE = os.environ.get("TUF_CONFORMANCE_DIR", "")
# About three processes a test: 11 minutes beside some other work, 45 were seen beside much.
LIMIT_S = 5400.0
LEAST_TESTS = 113


@pytest.mark.long
@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.skipif(not SUITE, reason="TUF_CONFORMANCE_DIR names no checkout of theupdateframework/tuf-conformance")
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is missing: sudo apt-get install faketime")
def test_the_conformance_suite_passes(tmp_path: Path):
    client = tmp_path / "client"  # the suite takes one word as the command
    script = Path(__file__).with_name("tuf_client.py")
    client.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    client.chmod(0o755)
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-c", str(Path(SUITE) / "pyproject.toml"), str(Path(SUITE) / "tuf_conformance")),
        *("--entrypoint", str(client)),
    ]
    environment = {**os.environ, "PYTHONPATH": SUITE, "PYTHONDONTWRITEBYTECODE": "1"}
    output = tmp_path / "output"
    with (
        output.open("w") as file,
        killed_process(command, limit_s=LIMIT_S, stdout=file, stderr=file, env=environment, cwd=tmp_path) as suite,
    ):
        code = suite.wait()
    closing = output.read_text().strip().rpartition("\n")[2]
    assert code == 0, output.read_text()[-4000:]
    passed = re.search(r"(\d+) passed", closing)
    assert passed is not None
    assert int(passed[1]) >= LEAST_TESTS, closing
    assert not re.search(r"failed|skipped|xfailed|error", closing), closing
