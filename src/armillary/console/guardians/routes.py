# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages of guardians; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.guardians import change, read

_ONE: Final = "/guardians/{device_id}"
_COMMAND: Final = _ONE + "/{equipment}/{command}"

READ: Final[tuple[tuple[str, Reader], ...]] = (("/guardians", read.guardians), (_ONE, read.guardian))
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    (f"{_COMMAND}/review", change.review, "command_equipment"),
    (f"{_COMMAND}/send", change.send, "command_equipment"),
)
