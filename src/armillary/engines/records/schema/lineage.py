# SPDX-License-Identifier: Apache-2.0
"""How ``device_status`` stores a device's lineage (``attest/lineage.py``).

The newest value has no column of its own: a reply's challenge and its certificate share their random part, so it is
``certificate_serial``. ``lineage`` is what the last proof showed: hex digits, "" for "none yet", null for a device that
shows none, or :data:`BEGINS` after an operator released it.
"""

from __future__ import annotations

from typing import Final

from armillary.attest.lineage import ID_BYTES, Lineage

BEGINS: Final = "begins"


def lineage_from(certificate_serial: str, lineage: str | None, held_at: int | None) -> Lineage:
    """The lineage in stored columns."""
    newest = bytes.fromhex(certificate_serial)[-ID_BYTES:]
    if lineage is None or lineage == BEGINS:
        return Lineage(newest, None, lineage == BEGINS, held_at)
    return Lineage(newest, bytes.fromhex(lineage), held_at=held_at)


def lineage_text(lineage: Lineage) -> str | None:
    """The value of the column ``lineage``."""
    if lineage.shown is None:
        return BEGINS if lineage.begins else None
    return lineage.shown.hex()


def serial_of(lineage: Lineage) -> str:
    """The value of ``certificate_serial`` for a lineage."""
    return "00" + lineage.newest.hex().upper() if lineage.newest else ""
