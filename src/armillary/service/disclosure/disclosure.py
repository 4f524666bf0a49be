# SPDX-License-Identifier: Apache-2.0
"""Puts policy, reports and what is due together; loaded where somebody has said how to report."""

from __future__ import annotations

from collections.abc import Callable

from armillary.service.context.context import Context
from armillary.service.disclosure.due_findings import DueFindings
from armillary.service.disclosure.policies import Policies
from armillary.service.disclosure.reports import VulnerabilityReports


class Disclosure:
    """The parts; ``secret`` is what reports are sealed with."""

    def __init__(self, context: Context, secret: Callable[[], bytes]) -> None:
        self.policies = Policies(context)
        self.reports = VulnerabilityReports(context, secret, self.policies)
        self.due = DueFindings(context, self.policies)
