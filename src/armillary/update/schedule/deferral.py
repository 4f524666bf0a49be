# SPDX-License-Identifier: Apache-2.0
"""How applications put off an update without the application interface: one line on standard output.

An application with the capability ``SoftwareUpdateDeferral`` writes ``armillary: defer-update MINUTES``; 0 takes it
back. It may say so at any time, also when no update waits: it says for how long it is busy. Nothing else of what it
writes means anything, and what it asked for ends when it ends, so that a crash puts nothing off.

A shell script can say it. What has the interface calls ``update.defer`` there, which does the same
(``device/interface/updates.py``).
"""

from __future__ import annotations

import re
from typing import Final

CAPABILITY: Final = "SoftwareUpdateDeferral"
# Azure Sphere's longest deferral of an application's update. What a group allows is mostly less.
MAX_MINUTES: Final = 10_000

_LINE: Final = re.compile(r"armillary: defer-update ([0-9]{1,5})", re.ASCII)


def asked_minutes(line: str) -> int | None:
    """For how many minutes a line of output asks to put off updates, at most :data:`MAX_MINUTES`; None for any other.

    0 takes back what was asked before.
    """
    match = _LINE.fullmatch(line)
    return None if match is None else min(MAX_MINUTES, int(match[1]))
