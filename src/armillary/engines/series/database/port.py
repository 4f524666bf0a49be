# SPDX-License-Identifier: Apache-2.0
"""What the series store needs of its database beyond what every store does."""

from __future__ import annotations

from typing import Protocol

from armillary.engines.database.port import Storage


class SeriesStorage(Storage, Protocol):
    """The open, locked database of the series."""

    @property
    def sessions(self) -> int:
        """How often the writer has connected: after each time, what was under way may be kept or not."""

    def check_room(self, reserve_bytes: int) -> None:
        """Refuse what would eat into the reserve.

        Raises:
            DiskReserveError: too little is free.
        """

    def release(self) -> None:
        """Give up the folder's lock."""
