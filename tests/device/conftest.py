# SPDX-License-Identifier: Apache-2.0
"""Doubles for device tests: a small service with the real appraisal, a pretended sandbox."""

from __future__ import annotations

import pytest
from tests.device.fake_sandbox import FakeSandbox
from tests.device.tiny_service import TinyService


@pytest.fixture
def fake_sandbox() -> FakeSandbox:
    return FakeSandbox()


@pytest.fixture
def tiny_service() -> TinyService:
    """Not started: a test starts it in its own event loop."""
    return TinyService()
