# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages of alerts; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.alerts import change, read
from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader

READ: Final[tuple[tuple[str, Reader], ...]] = (("/alerts", read.alerts), ("/alerts/{number}", read.alert))
EDIT: Final[tuple[tuple[str, Reader, Change], ...]] = (
    ("/acknowledge-alerts", asks(read.question), "acknowledge_alerts"),
)
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    ("/acknowledge-alerts", change.acknowledge_many, "acknowledge_alerts"),
    ("/alerts/{number}/acknowledge", change.acknowledge, "acknowledge_alert"),
)
