# SPDX-License-Identifier: Apache-2.0
"""What a destination of data exports offers, whichever it is, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way out."""

    line: bytes  # As it is sent: JSON
    device_id: str  # Whose it is; ``record_id`` is the record's. A transform may have left both out of the line
    record_id: str


class DestinationPort(Protocol):
    """Somewhere that takes records."""

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> None:
        """Hand over records; ``batch_id`` is the same whenever the same batch is sent again.

        Raises:
            NotNowError: it is to be tried again.
            NeverError: these records, or those of its ``which``, will never be taken.
        """

    def close(self) -> None:
        """Let go of connections; a destination that keeps none has nothing to do."""
        return
