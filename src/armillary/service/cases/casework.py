# SPDX-License-Identifier: Apache-2.0
"""Cases with what looks at their clocks; loaded when the first case begins, or is there at the start."""

from __future__ import annotations

from armillary.service.cases.cases import Cases
from armillary.service.cases.clock_findings import ClockFindings
from armillary.service.cases.subjects import SubjectNames
from armillary.service.context.context import Context


class Casework:
    """Both parts."""

    def __init__(self, context: Context) -> None:
        self.cases = Cases(context, SubjectNames())
        self.clocks = ClockFindings(context)
