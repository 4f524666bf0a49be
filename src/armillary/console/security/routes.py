# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages of threat monitoring and evidence; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.security import change, read

_KIND: Final = "/finding-kinds/{finding_kind}/acknowledge"

READ: Final[tuple[tuple[str, Reader], ...]] = (
    ("/findings", read.findings),
    ("/findings/{finding_id}", read.finding),
    ("/assessment", read.assessment),
    ("/devices/{device_id}/assessment", read.device),
)
EDIT: Final[tuple[tuple[str, Reader, Change], ...]] = ((_KIND, asks(change.kind_question), "watch.acknowledge_kind"),)
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    ("/findings/{finding_id}", change.move_finding, "watch.move"),
    (_KIND, change.acknowledge_kind, "watch.acknowledge_kind"),
)
