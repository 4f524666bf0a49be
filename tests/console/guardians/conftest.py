# SPDX-License-Identifier: Apache-2.0
"""One real service with a guardian and its coffee machine, for all tests of its pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.running_service import running_service
from tests.console.guardian_scene import Guarded
from tests.console.scene import Scene


class GuardianScene(Scene):
    """A store of the catalog ``northwind`` with a guardian."""

    guarded: Guarded

    @property
    def place(self) -> str:
        """The guardian's page."""
        return f"/guardians/{self.guarded.device_id}"


@pytest.fixture(scope="session")
def guardian_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardianScene]:
    with running_service(tmp_path_factory.mktemp("stores")) as running:
        scene = GuardianScene(running, "Store")
        device = scene.claimed()
        scene.guarded = Guarded(running, device, "coffee")
        scene.guarded.call("PUT", f"/devices/{device.device_id}/name", {"name": "store-12"})
        yield scene
        scene.guarded.close()
