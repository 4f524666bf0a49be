# SPDX-License-Identifier: Apache-2.0
"""The services of the tests of advisories, for drafts about what they affect."""

from __future__ import annotations

from tests.service.advisories.conftest import advisory_folder, fleet

__all__ = ["advisory_folder", "fleet"]
