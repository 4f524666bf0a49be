# SPDX-License-Identifier: Apache-2.0
"""Doubles for device tests: a small service with the real appraisal, a pretended sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rig import Rig, provisioned
from tests.device.tiny_service import TinyService


@pytest.fixture
def fake_sandbox() -> FakeSandbox:
    return FakeSandbox()


@pytest.fixture
def tiny_service() -> TinyService:
    """Not started: a test starts it in its own event loop."""
    return TinyService()


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of asynchronous tests."""
    return "asyncio"


@pytest.fixture
async def rig(tiny_service: TinyService, fake_sandbox: FakeSandbox, tmp_path: Path) -> AsyncIterator[Rig]:
    """A device with a pretended sandbox, and its service, in the event loop of the test."""
    async with provisioned(tiny_service, fake_sandbox, tmp_path / "d") as found:
        yield found
