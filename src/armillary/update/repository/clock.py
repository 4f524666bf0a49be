# SPDX-License-Identifier: Apache-2.0
"""Whether a device goes back to an earlier time: only by the word of root, and only from a time that root calls false.

A device believes no time before the last one that its service gave. Where the service's clock ran ahead that last time
is in the future, and the device takes no update until then. Root says which times were false
(``wire/update/clock_correction.py``); nobody else can, so that a thief of the service's TLS key, or of every online key
of the repository, sets no device back.
"""

from __future__ import annotations

from armillary.wire.update.clock_correction import ClockCorrection


def corrected_time(correction: ClockCorrection, *, last: int, told: int) -> int | None:
    """The time to go on with, ``told``, or None to stay with the ``last`` one; Unix seconds UTC.

    ``last`` is the latest time that the device has believed, ``told`` the earlier one that its service says now.
    """
    if not correction.first <= last <= correction.last:
        return None  # (1) root does not call this device's last time false
    if not correction.at <= told < last:
        return None  # (2) it is later than when root said so: an earlier time is an old answer, or a thief's
    return told
