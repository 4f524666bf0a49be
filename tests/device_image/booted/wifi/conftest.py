# SPDX-License-Identifier: Apache-2.0
"""The image of the Wi-Fi stories, once for all tests of a session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.device_image.booted.wifi.access_points import story_image

from armillary.device_image.architecture.table import Architecture


@pytest.fixture(scope="session")
def story(image: Path, architecture: Architecture) -> Path:
    """Its folder."""
    if not (image.parent / "kernel" / architecture.name).is_dir():
        pytest.skip(f"no own kernel is beside the image; to enable: make image-kernel KERNELS={architecture.name}")
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"process {os.getpid()}"
    return story_image(image, architecture, session)
