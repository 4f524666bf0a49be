# SPDX-License-Identifier: Apache-2.0
"""Logs of a process without structlog are lines of JSON on stderr, as those of a service."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, sys
from armillary.roles.plain_log import log_to_stderr
log_to_stderr()
log = logging.getLogger("armillary.somewhere")
log.warning("storage.full", extra={"folder": "/a", "weaker": ["b"]})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
log.info("not told")
assert "structlog" not in sys.modules
"""


def test_a_line_has_its_event_what_it_says_and_the_fault() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    full, failed = map(json.loads, done.stderr.splitlines())
    assert full.pop("timestamp").endswith("Z")
    assert full == {"event": "storage.full", "level": "warning", "folder": "/a", "weaker": ["b"]}
    assert (failed["event"], failed["level"]) == ("failed", "error")
    assert "ZeroDivisionError" in failed["exception"]
