# SPDX-License-Identifier: Apache-2.0
"""Places of guardians' messages, and what the hub keeps of them: any text is one or a WireError."""

from __future__ import annotations

import contextlib

from armillary.errors import WireError
from armillary.wire.equipment.message import MAX_SEQUENCE, read_place
from armillary.wire.equipment.seen import MAX_SPANS, Seen, read_seen

BOOT = "00ff00ff00ff00ff"


def seeds() -> list[bytes]:
    places = (f"{BOOT}.7.5.3", f"{BOOT}.1.0.1", f"{BOOT}.{MAX_SEQUENCE}.0.{MAX_SEQUENCE}")
    return [each.encode() for each in (*places, "0:", "8:10-12,20-20", f"1:{MAX_SEQUENCE}-{MAX_SEQUENCE}")]


def fuzz(data: bytes) -> None:
    first, _, second = data.decode("utf-8", "replace").partition("|")
    seen = Seen()
    with contextlib.suppress(WireError):
        seen = read_seen(second or first)
        assert read_seen(str(seen)) == seen
    with contextlib.suppress(WireError):
        place = read_place(first)
        after = seen.with_place(place)
        assert place.sequence in after
        assert after.floor >= seen.floor
        assert len(after.spans) <= max(MAX_SPANS, len(seen.spans))
        assert read_seen(str(after)) == after
