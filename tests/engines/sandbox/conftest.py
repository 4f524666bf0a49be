# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the sandbox tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engines.sandbox.sandbox_stage import ENGINES, Stage, engine, linux, linux_with_images

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import Sandbox


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture(params=ENGINES)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each way in which something is enforced on this host."""
    return engine(request.param)


@pytest.fixture(params=[kind for kind in ENGINES if kind != "reduced"])
def enclosed(request: pytest.FixtureRequest) -> Sandbox:
    """Each way in which an application has a network, processes and mounts of its own."""
    return engine(request.param)


@pytest.fixture(params=["as-root", "as-user"])
def namespaces(request: pytest.FixtureRequest) -> LinuxSandbox:
    """The namespaces sandbox in both of its forms."""
    return linux(own_user=request.param == "as-root")


@pytest.fixture
def images_of_root() -> LinuxSandbox:
    """The sandbox that gives each application a file system, or skip."""
    return linux_with_images()
