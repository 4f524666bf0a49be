# SPDX-License-Identifier: Apache-2.0
"""Alerts of a tile's devices: firings of rules for some of all devices, as one request sees them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.rules.alerts import AlertFilter
from armillary.platform.rules.alert_search import MAX_DEVICES, AlertSearch

# Alerts of a page that are looked through, and pages at most: a tile of a few devices in a storm of others' alerts says
# that there may be more, and no refresh of a dashboard reads them all.
PAGE: Final = 200
MAX_PAGES: Final = 5


@dataclass(frozen=True, slots=True)
class DeviceAlerts:
    """Alerts, of one catalog or of all (None)."""

    _alerts: AlertSearch
    _catalog: str | None

    def __call__(
        self, device_ids: Collection[str], *, is_open: bool | None, most: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """The newest ``most`` alerts of devices, and whether there may be more.

        ``is_open``: only alerts that nobody has acknowledged, or only acknowledged ones; None: both.
        """
        wanted = frozenset(device_ids)
        if not wanted:
            return [], False
        # Of a few devices the store looks them up; more are looked through.
        is_few = len(wanted) <= MAX_DEVICES
        asked = AlertFilter(
            catalog=self._catalog,
            state={None: "all", True: "open", False: "acknowledged"}[is_open],
            device_ids=tuple(sorted(wanted)) if is_few else None,
        )
        found: list[dict[str, Any]] = []
        before: int | None = None
        for _ in range(MAX_PAGES):
            page = self._alerts.listed(asked, before=before, limit=most + 1 if is_few else PAGE)
            found += [each for each in page["items"] if each["device_id"] in wanted]
            if len(found) > most or page["next"] is None:
                return found[:most], len(found) > most
            before = int(page["next"])
        return found[:most], True
