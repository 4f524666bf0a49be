# SPDX-License-Identifier: Apache-2.0
"""The sandbox's self-test runs while the boot chain is verified, and what it says reaches the start."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from armillary.device.boot.sandbox_test import begin_sandbox_test
from armillary.engines.sandbox.port import Sandbox, SandboxReport
from armillary.errors import SandboxUnavailableError


class Meeting:
    """A sandbox whose self-test ends once the start of the device is under way."""

    def __init__(self) -> None:
        self.met = threading.Barrier(2)

    def self_test(self) -> SandboxReport:
        self.met.wait(60)
        return SandboxReport("meeting", (), ())


def test_it_runs_beside_what_blocks_the_loop() -> None:
    sandbox = Meeting()

    async def start() -> tuple[Sandbox, SandboxReport]:
        tested = begin_sandbox_test(cast("Sandbox", sandbox), "linux")
        sandbox.met.wait(60)  # in the loop's thread, as the verification of the chain
        return await tested

    found, report = asyncio.run(start())
    assert found is cast("Sandbox", sandbox)
    assert report.sandbox == "meeting"


def test_what_it_raises_comes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str) -> Sandbox:
        raise SandboxUnavailableError(f"no {name}", remedy="")

    monkeypatch.setattr("armillary.device.boot.sandbox_test.open_sandbox", refused)

    async def start() -> None:
        await begin_sandbox_test(None, "linux")

    with pytest.raises(SandboxUnavailableError, match="no linux"):
        asyncio.run(start())
