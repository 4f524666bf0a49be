# SPDX-License-Identifier: Apache-2.0
"""Which sets of software have which image or release; read once, as sets never change."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.advisories import software as software_rows
from armillary.engines.records.advisories.software import SoftwareSet

Release = tuple[str, str]  # chip and version


class Sets:
    """All sets, by number and by what they are made of. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self.by_id: dict[int, SoftwareSet] = {}
        self._by_image: dict[UUID, list[int]] = {}
        self._by_release: dict[Release, list[int]] = {}

    def refresh(self, connection: Connection) -> None:
        """Read the sets that were made since."""
        with self._lock:
            for each in software_rows.sets_after(connection, self._last):
                self.by_id[each.set_id] = each
                self._last = each.set_id
                self._by_release.setdefault((each.chip, each.os_version), []).append(each.set_id)
                for image_id in each.image_ids:
                    self._by_image.setdefault(image_id, []).append(each.set_id)

    def having(self, images: Iterable[UUID], releases: Iterable[Release]) -> set[int]:
        """The sets that have one of these images or releases."""
        found = {set_id for each in images for set_id in self._by_image.get(each, ())}
        return found | {set_id for each in releases for set_id in self._by_release.get(each, ())}
