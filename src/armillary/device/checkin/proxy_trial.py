# SPDX-License-Identifier: Apache-2.0
"""Judges the proxy that an application set: what fails through it, and what is said when it is given up.

A proxy that passes check-ins on and no downloads keeps an update away as one that is dead does. So it counts as working
only when nothing is offered, or what was offered has come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import FAILURES_ALLOWED, NetworkConfiguration
from armillary.device.state.reports import Incident
from armillary.errors import DataFolderError


class ProxyTrial:
    """Counts for a device; ``report`` takes the error report of one that is given up."""

    def __init__(
        self,
        configuration: NetworkConfiguration,
        now: Callable[[], int],
        journal: Journal,
        report: Callable[[Incident], None],
    ) -> None:
        self._configuration = configuration
        self._now = now
        self._journal = journal
        self._report = report

    def worked(self) -> None:
        """The service answered, and nothing that it offers is left to fetch."""
        with contextlib.suppress(DataFolderError):  # a full disk: it is counted again
            self._configuration.proxy_worked()

    def failed(self) -> bool:
        """The service did not answer, or its offer did not come; returns whether the device has another way now."""
        given_up = None
        with contextlib.suppress(DataFolderError):
            given_up = self._configuration.proxy_failed(self._now())
        if given_up is None:
            return False
        instead = given_up.instead or "no proxy"
        place = given_up.proxy or "no proxy"
        self._journal.write("proxy-given-up", proxy=place, instead=instead, component_id=given_up.component)
        description = f"ProxyGivenUp ({place}; component_id={given_up.component})"
        reason = f"{FAILURES_ALLOWED} check-ins or downloads failed since an application set it; {instead} is used now"
        self._report(Incident(event_type="ProxyGivenUp", event_class="OS", description=f"{description}: {reason}"))
        return True
