# SPDX-License-Identifier: Apache-2.0
"""Benchmarks are run by hand and at night: what they take from the product has to be there all the same."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, cast

import bench
import pytest
from bench.image_ready import start_of_device

from armillary.device_image.virtual_machine import VirtualMachine
from armillary.errors import HostError


def test_every_benchmark_can_be_loaded() -> None:
    modules = {path.stem for path in Path(bench.__file__).parent.glob("*.py")} - {"__init__", "__main__"}
    assert len(modules) > 30
    for name in sorted(modules):
        importlib.import_module(f"bench.{name}")


class Machine:
    """Says these lines, one after the other."""

    process_id = os.getpid()

    def __init__(self, *lines: str) -> None:
        self._lines = iter(lines)

    def wait_for(self, wanted: str, **_: Any) -> tuple[str | None, list[str]]:
        seen = []
        for line in self._lines:
            seen.append(line)
            if wanted in line:
                return line, seen
        return None, seen


ROOT = "armillary: slot a, verified root from /dev/vda3"
SANDBOX = "2026-11-29 12:00:00  sandbox  sandbox=linux  complete=True"
READY = "armillary: ready after 5.6 s (slot a, 12.1 s after the kernel began)"
ATTESTED = "2026-11-29 12:00:03  check-in  verdict=attested  purpose=client"


def start(*lines: str) -> float:
    return start_of_device(cast("VirtualMachine", Machine(*lines))).ready_s


def test_a_device_counts_as_ready_with_its_sandbox_complete_and_attested_afterwards() -> None:
    assert start(ROOT, SANDBOX, READY, ATTESTED) == 5.6
    waiting = SANDBOX.replace("linux  complete=True", "waiting")
    with pytest.raises(HostError, match=r"ready without its sandbox: expected .*, got .*sandbox=waiting"):
        start(ROOT, waiting, READY, SANDBOX, ATTESTED)
    with pytest.raises(HostError, match="ready without its sandbox"):
        start(ROOT, SANDBOX.replace("True", "False"), READY, ATTESTED)
    with pytest.raises(HostError, match=r"was not attested: .*update-only"):
        start(ROOT, SANDBOX, READY, ATTESTED.replace("attested", "update-only"))
    with pytest.raises(HostError, match="was not attested"):
        start(ROOT, SANDBOX, READY)
