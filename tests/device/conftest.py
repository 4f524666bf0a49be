# SPDX-License-Identifier: Apache-2.0
"""Doubles for device tests: flash that loses power, a small service with the real appraisal, a pretended sandbox."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.fake_sandbox import FakeSandbox
from tests.device.tiny_service import TinyService


@pytest.fixture
def cut_flash() -> Callable[..., CutFlash]:
    return CutFlash


@pytest.fixture
def power_cut() -> type[BaseException]:
    return PowerCutError


@pytest.fixture
def fake_sandbox() -> FakeSandbox:
    return FakeSandbox()


@pytest.fixture
def tiny_service() -> TinyService:
    """Not started: a test starts it in its own event loop."""
    return TinyService()


@pytest.fixture(scope="session")
def cut_flash_type() -> type[CutFlash]:
    """For property tests, whose examples share the fixture: the class itself."""
    return CutFlash


@pytest.fixture(scope="session")
def power_cut_type() -> type[BaseException]:
    return PowerCutError
