# SPDX-License-Identifier: Apache-2.0
"""Twins of all devices, connected or not: a change is durable before anybody hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Set as AbstractSet
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from armillary.engines.database.group_commit import COMMIT_TIMEOUT_S, LoopSink, Rejected
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.hub.twins import changed_twin
from armillary.engines.series.store import SeriesStore
from armillary.errors import InvalidArgumentError
from armillary.hub.front.notices import HubNotices
from armillary.twin.document.document import Twin, desired_notice, patch_desired, patch_tags
from armillary.twin.document.replacement import replacement_patch
from armillary.twin.document.section import check_patch


class Connections(Protocol):
    """Devices' connections, as far as twins go."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The hub's loop."""

    def notify_desired(self, device_id: str, notice: Mapping[str, Any], version: int) -> None:
        """Tell a connected device of new desired properties. In the loop."""


@dataclass(eq=False)
class Twins:
    """Twins of one hub."""

    _series: SeriesStore
    _notices: HubNotices
    _now_ms: Callable[[], int]  # Unix time, milliseconds
    _connections: Callable[[], Connections | None]  # Devices' connections; None before the hub has started

    def get(self, device_id: str) -> Twin:
        """A device's twin; an empty one when nobody has written it yet."""
        return self._series.twin(device_id)

    def change(
        self,
        device_id: str,
        *,
        tags: object = None,
        desired: object = None,
        whole: AbstractSet[str] = frozenset(),
        if_match: str | None = None,
        entry: AuditEntry | None = None,
    ) -> Twin:
        """Change tags and desired properties, both or neither, and tell the device if it is connected.

        Blocks for the commit: call it from a thread, never in the hub's event loop; there, await
        ``asyncio.wrap_future(submit_desired(...))``.

        ``tags`` and ``desired`` are JSON objects to merge, or None to leave a section; ``whole`` names those of them
        that replace their section. ``if_match`` is the ETag expected; None or ``*`` for any. The audit entry is kept in
        the same transaction.

        Raises:
            ConflictError: the twin's ETag is another one.
            InvalidArgumentError: a limit is broken, or there is nothing to change.
        """
        self._refuse_in_loop()
        twin = self._submit(device_id, tags, desired, whole, if_match, entry).result(COMMIT_TIMEOUT_S)
        if entry is not None:
            self._series.outbox.move()
        return twin

    def submit_desired(self, device_id: str, patch: object, *, if_match: str | None = None) -> Future[Twin]:
        """Merge a patch into the desired properties as :meth:`change` does, without waiting.

        Raises:
            InvalidArgumentError: the patch itself breaks a limit.
        """
        return self._submit(device_id, None, patch, frozenset(), if_match)

    def begin(self, device_id: str, first: Mapping[str, Any]) -> None:
        """Give a new device its first twin: ``{"tags": .., "desired": ..}``. In the hub's loop; does not wait."""
        if first.get("desired") or first.get("tags"):
            self._submit(device_id, first.get("tags") or None, first.get("desired") or None, frozenset(), None)

    def _submit(
        self,
        device_id: str,
        tags: object,
        desired: object,
        whole: AbstractSet[str],
        if_match: str | None,
        entry: AuditEntry | None = None,
    ) -> Future[Twin]:
        """Commit a change; the device and whoever listens are told in the hub's loop, in the order of the commits."""
        if tags is None and desired is None:
            raise InvalidArgumentError("twin: expected tags or desired properties", remedy="Send at least one.")
        now_ms = self._now_ms()
        checked_tags = None if tags is None else check_patch(tags, "tags")
        checked = None if desired is None else check_patch(desired, "desired")
        applied: list[Mapping[str, Any]] = []

        def apply(twin: Twin) -> Twin:
            guard = if_match
            if checked_tags is not None:
                patch = replacement_patch(twin.tags, checked_tags) if "tags" in whole else checked_tags
                twin, guard = patch_tags(twin, patch, if_match=guard), None
            if checked is not None:
                patch = replacement_patch(twin.desired.properties, checked) if "desired" in whole else checked
                applied[:] = [patch]
                twin = patch_desired(twin, patch, now_ms=now_ms, if_match=guard)
            return twin

        change = self._series.outbox.with_entry(changed_twin(device_id, apply, now_ms=now_ms), entry)
        connections = self._connections()
        if connections is None:
            return self._series.commits.submit(change)
        future: Future[Twin] = Future()

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            outcome = outcomes[0]
            if isinstance(outcome, Rejected):
                future.set_exception(outcome.error)
                return
            if applied:
                version = outcome.desired.version
                connections.notify_desired(device_id, desired_notice(applied[0], version), version)
            self._notices.on_twin(device_id)
            future.set_result(outcome)

        self._series.commits.post(change, LoopSink(connections.loop, deliver))
        return future

    def _refuse_in_loop(self) -> None:
        connections = self._connections()
        try:
            in_loop = connections is not None and asyncio.get_running_loop() is connections.loop
        except RuntimeError:
            return  # in no event loop: a thread, as it should be
        if in_loop:
            raise RuntimeError("the hub's event loop would wait for itself: await submit_desired instead")
