# SPDX-License-Identifier: Apache-2.0
"""Where a recovery by hand keeps what it has decided and stored. Small: every start asks whether there is one."""

from __future__ import annotations

from typing import Final

from armillary.engines.flash.port import Flash

DECIDED: Final = "device/recovery"  # deterministic CBOR: [configuration, root of the repository, time]
STORED: Final = "recovery/"


def is_left(flash: Flash) -> bool:
    """Whether there is anything of a recovery: one that was decided, or what was stored for one."""
    return flash.read(DECIDED) is not None or bool(flash.regions(STORED))
