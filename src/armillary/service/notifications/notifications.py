# SPDX-License-Identifier: Apache-2.0
"""Notifications as the service holds them: nothing is loaded and no thread runs until there is a channel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armillary.engines.records.notifications import totals
from armillary.engines.records.notifications.totals import Totals
from armillary.service.context.context import Context
from armillary.wire.device.finding import SEVERITIES

if TYPE_CHECKING:
    from armillary.service.notifications.alerts import AlertNotices
    from armillary.service.notifications.channels import Channels
    from armillary.service.notifications.sender import Sender


class Notifications:
    """The channels and their sender; ``secret`` is what addresses and secrets of channels are sealed with."""

    def __init__(self, context: Context, secret: Callable[[], bytes]) -> None:
        self._context = context
        self._secret = secret
        self._opening = threading.RLock()
        self._channels: Channels | None = None
        self._sender: Sender | None = None
        self._is_started = False
        self._looking = threading.Lock()
        self._heard: Mapping[str | None, int] | None = None  # as AlertNotices.heard has it; None: not looked yet

    @property
    def channels(self) -> Channels:
        """What people do with channels."""
        with self._opening:
            if self._channels is None:
                from armillary.service.notifications.opening import open_channels  # noqa: PLC0415 - memory: few are used

                self._channels = open_channels(self._context, self._secret)
                self._channels.on_work.append(self._work)
                self._channels.on_choice.append(self.look_who_hears)
            return self._channels

    def start(self) -> None:
        """Send what waits, from now on; does nothing while there is no channel."""
        self._is_started = True
        if self._context.records.read(totals.are_there):
            self._work()
            self.look_who_hears()
        else:
            self._heard = {}

    def wake(self) -> None:
        """Something may have to be sent; from any thread."""
        if self._sender is not None:
            self._sender.wake()

    def close(self) -> None:
        """End the sender; what was not sent is sent after the next start."""
        with self._opening:
            self._is_started = False
            if self._sender is not None:
                self._sender.close()

    def tell(self, channel: str, catalog: str, whole: bool, delivery: str, said: Mapping[str, Any]) -> int:  # noqa: FBT001
        """Have channels of a name tell of an alert (``platform/ports.py``); how many there are."""
        return self._alerts().tell(channel, catalog, whole, delivery, said)

    def tell_choosers(
        self,
        named: Sequence[str],
        catalog: str,
        whole: bool,  # noqa: FBT001
        delivery: str,
        said: Mapping[str, Any],
    ) -> int:
        """Have the channels tell of an alert that chose alerts (``platform/ports.py``); how many there are."""
        return self._alerts().tell_choosers(named, catalog, whole, delivery, said)

    def is_heard(self, catalog: str | None, severity: str) -> bool:
        """Whether a channel chose alerts of a severity: one of a catalog, or of the whole service."""
        if self._heard is None:
            self.look_who_hears()
        heard = self._heard or {}
        names = {None, catalog.lower() if catalog else None}
        return any(SEVERITIES.index(severity) >= heard[name] for name in names if name in heard)

    def look_who_hears(self) -> None:
        """Read again which alerts channels chose; from any thread."""
        with self._looking:  # whoever comes last reads last
            self._heard = self._alerts().heard()

    def is_there(self, channel: str, catalog: str | None) -> bool:
        """Whether a rule of a catalog, or with None one of all catalogs, has a channel of a name."""
        return self._alerts().is_there(channel, catalog)

    def _alerts(self) -> AlertNotices:
        from armillary.service.notifications.alerts import AlertNotices  # noqa: PLC0415 - memory, as above

        return AlertNotices(self._context, self.wake)

    def totals(self) -> Totals:
        """How all channels are doing together."""
        return self._context.records.read(totals.totals)

    def _work(self) -> None:
        with self._opening:
            if self._sender is None and self._is_started:
                from armillary.service.notifications.opening import open_sender  # noqa: PLC0415 - memory, as above

                self._sender = open_sender(self._context, self.channels)
                self._sender.start()
        self.wake()
