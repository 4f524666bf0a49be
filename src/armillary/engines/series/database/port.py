# SPDX-License-Identifier: Apache-2.0
"""What the series store needs of its database beyond the port of all stores."""

from __future__ import annotations

from typing import Protocol

from armillary.engines.database.port import Storage


class SeriesStorage(Storage, Protocol):
    """The open, locked database of the series."""

    @property
    def sessions(self) -> int:
        """How often the writer has connected: changes that were under way before may have been committed or not."""

    def check_room(self, reserve_bytes: int) -> None:
        """Check that the reserve is free.

        Raises:
            DiskReserveError: too little is free.
        """

    def release(self) -> None:
        """Release the folder's lock."""
