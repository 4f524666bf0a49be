# SPDX-License-Identifier: Apache-2.0
"""The services of the tests of advisories: dossiers about what runs there."""

from __future__ import annotations

from tests.fixtures.clocks import Clock
from tests.service.advisories.conftest import advisory_folder, fleet

__all__ = ["Clock", "advisory_folder", "fleet"]
